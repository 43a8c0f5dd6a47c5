"""Starts the AWS CLI without its time for imports: each call is a fork of one process.

`warm.py serve SOCKET MODULE` runs under the program's own Python, and there calls the `main` of
the module for each client, with the client's arguments, variables, folder and open files.
`warm.py call SOCKET ARGUMENT...` is a client: what it is told by signals, it passes on, and it
ends as the program does. What runs is the program's own code, from its first line on.
"""

import array
import os
import signal
import socket
import struct
import sys

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STANDARD_FILES = (0, 1, 2)


def call(path: str, arguments: list[str]) -> None:
    """Have the program run, and end as it does."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        variables = [f"{name}={value}" for name, value in os.environ.items()]
        texts = [os.getcwd(), str(len(arguments)), *arguments, *variables]  # noqa: PTH109 - bare
        request = "\0".join(texts).encode("utf-8", "surrogateescape")
        files = array.array("i", STANDARD_FILES)
        size = struct.pack("!I", len(request))
        server.sendmsg([size], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        server.sendall(request)
        (program,) = struct.unpack("!i", receive(server, 4))
        for each in SIGNALS:
            signal.signal(each, lambda number, _: os.kill(program, number))
        (status,) = struct.unpack("!i", receive(server, 4))
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def receive(connection: socket.socket, size: int) -> bytes:
    """Read exactly so many bytes."""
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            sys.exit("the warm program has ended")
        data += more
    return data


def serve(path: str, module: str) -> None:
    """Answer clients until standard input ends, which is when the tests do."""
    import importlib  # noqa: PLC0415 - the client starts without them
    import select  # noqa: PLC0415

    before = dict(os.environ)
    run = importlib.import_module(module)
    own = [f"{name}={value}" for name, value in os.environ.items() if before.get(name) != value]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(16)
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while 0 not in (ready := select.select([0, listener], [], [])[0]):
            assert ready
            client, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                answer(client, run, own)
            client.close()


def answer(client: socket.socket, run: object, own: list[str]) -> None:
    """Run the program once, in a process of its own, and tell how it ended.

    `own` are the variables that the program has given itself.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, ancillary, _, _ = client.recvmsg(4, socket.CMSG_SPACE(len(STANDARD_FILES) * 4))
    files = array.array("i")
    files.frombytes(ancillary[0][2])
    request = receive(client, struct.unpack("!I", size)[0])
    program = os.fork()
    if program == 0:
        client.close()
        texts = request.decode("utf-8", "surrogateescape").split("\0")
        become([*texts, *own], list(files), run)
    for number in (*files, *STANDARD_FILES):
        os.close(number)
    client.sendall(struct.pack("!i", program))
    _, status = os.waitpid(program, 0)
    client.sendall(struct.pack("!i", os.waitstatus_to_exitcode(status)))
    os._exit(0)


def become(texts: list[str], files: list[int], run: object) -> None:
    """Be the program that the client wanted."""
    for number, standard in zip(files, STANDARD_FILES, strict=True):
        os.dup2(number, standard)
        os.close(number)
    folder, count, *rest = texts
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(each.split("=", 1) for each in rest[int(count) :])
    sys.argv = [sys.argv[0], *rest[: int(count)]]
    code: object = 1
    try:
        code = run.main()  # type: ignore[attr-defined]
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - told as Python itself would tell it
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        # Whatever happens, this process never goes on as the server that it was.
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        call(sys.argv[2], sys.argv[3:])
