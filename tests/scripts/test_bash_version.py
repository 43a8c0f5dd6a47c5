"""The scripts run in the bash 3.2 of macOS: what came later is found by its looks.

No bash 3.2 is at hand to run them with; each construct here is one that it refuses or misreads.
"""

import re
from pathlib import Path

import pytest
from support.cli import REPOSITORY

SCRIPTS = sorted(REPOSITORY.glob("scripts/**/*.sh"))

NEWER = {
    "4.0 mapfile, readarray": r"\b(mapfile|readarray)\b",
    "4.0 associative arrays": r"\b(declare|local|typeset|readonly)\s+-[a-z]*A",
    "4.0 change of case": r"\$\{!?\w+(\[[^]]*\])?(\^|,)",
    "4.0 &>>": r"&>>",
    "4.0 |&": r"\|&",
    "4.0 coproc": r"\bcoproc\b",
    "4.0 case that falls through": r";;?&",
    "4.0 globstar and others": r"\bshopt\s+-[a-z]\s+(globstar|lastpipe|inherit_errexit|dirspell)",
    "4.0 padding and steps in braces": r"\{(0\d+\.\.\d+|\w+\.\.\w+\.\.\d+)\}",
    "4.0 read -N, -i and fractions of seconds": r"\bread\s.*(-[a-z]*[Ni]\b|-t\s*\d*\.\d)",
    "4.0 BASHPID": r"\$\{?BASHPID",
    "4.1 a descriptor in a variable": r"\{\w+\}[<>]",
    "4.1 printf -v into an array": r"\bprintf\s+-v\s*\"?\w+\[",
    "4.2 printf of the time": r"\bprintf\b.*%(-?\d+)?\([^)]*\)T",
    "4.2 -v asks for a variable": r"(\[\[?|\btest)\s(.*\s)?-v\s",
    "4.2 declare -g": r"\b(declare|typeset)\s+-[a-zA-Z]*g",
    "4.2 characters by number": r"\$'[^']*\\[uU]",
    "4.2 a length from the end": r"\$\{\w+(\[[^]]*\])?:(?![-+=?])[^:}]*:\s*-",
    "4.2 an element from the end": r"\$\{\w+\[-|^\s*\w+\[-\d",
    "4.3 names of variables": r"\b(declare|local|typeset)\s+-[a-zA-Z]*n\b",
    "4.3 wait -n": r"\bwait\s+-[a-z]*n",
    "4.4 transformations": r"\$\{!?\w+(\[[^]]*\])?@[A-Za-z]\}",
    "5.0 variables of time and chance": r"\$\{?(EPOCHSECONDS|EPOCHREALTIME|SRANDOM|BASH_ARGV0)",
    "5.3 commands in braces": r"\$\{[ |]",
    # 3.2 ends the substitution at the first parenthesis of the case.
    "4.0 case in a substitution": r"\$\(\s*case\b",
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
        f"{number}: {name}"
        for number, line in code_of(text)
        for name, pattern in NEWER.items()
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
        "mapfile -t lines <file",
        "declare -A map=()",
        'echo "${name^^}"',
        'echo "${name,,}"',
        "make &>>log",
        "make |& cat",
        "coproc sleep 1",
        "a) echo ;;&",
        "shopt -s globstar",
        "for i in {01..10}; do",
        "for i in {1..10..2}; do",
        "read -t 0.5 line",
        "kill $BASHPID",
        "exec {out}>file",
        'printf -v "a[0]" x',
        "printf '%(%s)T' -1",
        "if [[ -v name ]]; then",
        "declare -g name=1",
        r"echo $'\u20ac'",
        'echo "${name:0:-1}"',
        'echo "${a[-1]}"',
        "local -n target=$1",
        "wait -n",
        'echo "${name@Q}"',
        "echo $EPOCHSECONDS",
        "x=$(case $y in a) echo b ;; esac)",
        "echo ${ date; }",
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
