"""Starts the AWS CLI without the time for its imports: each call forks one process.

`warm.py serve SOCKET MODULE` runs under the program's own Python, and calls the module's `main`
for each client, with the client's arguments, variables, folder and open files.
`warm.py call SOCKET ARGUMENT...` is a client: it forwards signals to the program, and ends as
the program does. The program's own code runs in full, from its first line.
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
    """Run the program, and end as it does."""
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
    """Read exactly `size` bytes."""
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            sys.exit("the warm program has ended")
        data += more
    return data


def serve(path: str, module: str) -> None:
    """Serve clients until standard input closes, when the tests end."""
    import importlib  # noqa: PLC0415 - not needed by the client
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
    """Run the program once in a separate process, and report how it ended.

    `own` are the variables that the program has set itself.
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
    """Run as the program that the client requested."""
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
    except BaseException:  # noqa: BLE001 - reported as by Python itself
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        # This process must never continue as the server.
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
