"""The scripts run in the bash 3.2 of macOS: what came later is found by its looks.

No bash 3.2 is at hand to run them with; each construct here is one that it refuses or misreads.
"""

import re
from pathlib import Path

import pytest
from support.cli import REPOSITORY

SCRIPTS = sorted(REPOSITORY.glob("scripts/**/*.sh"))

# Examples of what came later, by version, and how each is found.
NEWER = {
    # 4.0
    "mapfile -t lines <file": r"\b(mapfile|readarray)\b",
    "declare -A map=()": r"\b(declare|local|typeset|readonly)\s+-[a-z]*A",
    'echo "${name^^}"': r"\$\{!?\w+(\[[^]]*\])?(\^|,)",
    "make &>>log": r"&>>",
    "make |& cat": r"\|&",
    "coproc sleep 1": r"\bcoproc\b",
    "a) echo ;;&": r";;?&",
    "shopt -s globstar": r"\bshopt\s+-[a-z]\s+(globstar|lastpipe|inherit_errexit|dirspell)",
    "for i in {01..10}; do": r"\{(0\d+\.\.\d+|\w+\.\.\w+\.\.\d+)\}",
    "read -t 0.5 line": r"\bread\s.*(-[a-z]*[Ni]\b|-t\s*\d*\.\d)",
    "kill $BASHPID": r"\$\{?BASHPID",
    # 4.1
    "exec {out}>file": r"\{\w+\}[<>]",
    'printf -v "a[0]" x': r"\bprintf\s+-v\s*\"?\w+\[",
    # 4.2
    "printf '%(%s)T' -1": r"\bprintf\b.*%(-?\d+)?\([^)]*\)T",
    "if [[ -v name ]]; then": r"(\[\[?|\btest)\s(.*\s)?-v\s",
    "declare -g name=1": r"\b(declare|typeset)\s+-[a-zA-Z]*g",
    r"echo $'\u20ac'": r"\$'[^']*\\[uU]",
    'echo "${name:0:-1}"': r"\$\{\w+(\[[^]]*\])?:(?![-+=?])[^:}]*:\s*-",
    'echo "${a[-1]}"': r"\$\{\w+\[-|^\s*\w+\[-\d",
    # 4.3
    "local -n target=$1": r"\b(declare|local|typeset)\s+-[a-zA-Z]*n\b",
    "wait -n": r"\bwait\s+-[a-z]*n",
    # 4.4
    'echo "${name@Q}"': r"\$\{!?\w+(\[[^]]*\])?@[A-Za-z]\}",
    # 5.0
    "echo $EPOCHSECONDS": r"\$\{?(EPOCHSECONDS|EPOCHREALTIME|SRANDOM|BASH_ARGV0)",
    # 5.3
    "echo ${ date; }": r"\$\{[ |]",
    # 4.0: 3.2 ends the substitution at the first parenthesis of the case.
    "x=$(case $y in a) echo b ;; esac)": r"\$\(\s*case\b",
}
# Before 4.4 an empty array counts as unset, and `set -u` ends the script.
EVERY_ELEMENT = re.compile(r"\$\{(\w+)\[[@*]\]\}")
GUARDED = re.compile(r"\$\{(\w+)\[@\]\+\"\$\{\1\[@\]\}\"\}")


def code_of(text: str) -> list[tuple[int, str]]:
    """Return the numbered lines that bash reads as code: no comments, no here-documents."""
    found, end = [], ""
    for number, line in enumerate(text.splitlines(), 1):
        if end:
            if line.strip() == end:
                end = ""
            continue
        begun = re.search(r"(?<!<)<<-?\s*['\"]?(\w+)['\"]?", line)
        end = begun[1] if begun else ""
        found.append((number, re.sub(r"(^|\s)#\s.*$", "", line)))
    return found


def faults_of(text: str) -> list[str]:
    faults = [
        f"{number}: like {example}"
        for number, line in code_of(text)
        for example, pattern in NEWER.items()
        if re.search(pattern, line)
    ]
    return faults + [
        f"{number}: {name} may be empty"
        for number, line in code_of(text)
        for name in EVERY_ELEMENT.findall(GUARDED.sub("", line))
    ]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_nothing_newer(script: Path) -> None:
    """Every script keeps to what bash 3.2 knows."""
    assert [] == faults_of(script.read_text())


@pytest.mark.parametrize(
    "line",
    [
        *NEWER,
        'echo "${name,,}"',
        "for i in {1..10..2}; do",
        'run "${options[@]}"',
        "cat <<X\n  body\nX\nwait -n",
    ],
)
def test_is_found(line: str) -> None:
    """Each construct is seen where it stands."""
    assert faults_of(line)


@pytest.mark.parametrize(
    "line",
    [
        'for each in ${given[@]+"${given[@]}"}; do',
        'echo "${name:1:2} ${name: -1} ${#a[@]} ${a[0]}" # "${name^^}" would be newer',
        "cat <<'X'\nmapfile\nX",
        'while IFS= read -r -u 4 line; do :; done 4<<<"$lines"',
        "case $x in a) echo ;; esac; grep -v x <file",
    ],
)
def test_is_not_found(line: str) -> None:
    """What bash 3.2 has is left alone."""
    assert [] == faults_of(line)
