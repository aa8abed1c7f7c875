"""A process that has imported what jobs import, and forks a job whenever it is asked to.

Importing PyTorch and the rest takes two seconds, most of what a small job takes. Only packages are imported
here, nothing of this library or of a user's: these a job reads as they are when it begins.

    python -P -m fedscape.jobs.fork_server DESCRIPTOR

The descriptor is that of a socket, whose other end is `fedscape.jobs.forked`: the path of a script comes in,
the number of the process that runs it goes out, with a pipe by which that is told to begin. So a job begins
once, whenever the server may die. The server ends with the other end.
"""

import atexit
import gc
import logging
import os
import runpy
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path

LONGEST = 1 << 16  # bytes of a path
THREADS_HERE = Path("/proc/self/task")
NAME_HERE = Path("/proc/self/comm")


def import_packages() -> None:
    """Import what jobs import, PyTorch's own late imports included."""
    import jinja2
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_svg
    import matplotlib.pyplot
    import pandas
    import safetensors.torch
    import scipy.interpolate
    import scipy.ndimage
    import scipy.optimize
    import scipy.sparse.linalg
    import scipy.stats
    import snakemake.iocontainers
    import snakemake.logging
    import threadpoolctl
    import torch.fx.experimental.symbolic_shapes  # the first `vmap` does


def serve(channel: socket.socket) -> str | None:
    """Answer until the other end is closed; the path of its script in a process that is to run one."""
    with suppress(ConnectionError):  # Snakemake was killed, with an answer unread or waiting for one
        while script := channel.recv(LONGEST).decode():
            (told, tell), (allowed, allow) = os.pipe(), os.pipe()
            # A process between the two ends at once, and so hands the job to the process that asked for it.
            if between := os.fork():
                os.close(tell)
                os.close(allowed)
                with os.fdopen(told) as number:
                    answer = number.read()
                with suppress(ChildProcessError):  # where nobody wants to hear of children
                    os.waitpid(between, 0)
                socket.send_fds(channel, [answer.encode()], [allow])
                os.close(allow)
            elif job := os.fork():
                os.write(tell, str(job).encode())
                os._exit(0)
            else:
                for end in (told, tell, allow):
                    os.close(end)
                with os.fdopen(allowed, "rb") as permission:
                    if not permission.read():
                        os._exit(1)  # nobody was told of this job, which therefore starts by itself
                return script
    return None


def leave_server() -> None:
    """Part with what a process that starts by itself does not share with others."""
    import numpy as np
    import torch

    for name in [name for name in sys.modules if name.partition(".")[0] == "fedscape"]:
        del sys.modules[name]  # a job reads these as they are now
    atexit._clear()  # the server's to end, not a job's
    np.random.seed()  # noqa: NPY002 (the generator that a plug-in without a stream draws from)
    torch.default_generator.seed()


def call_itself(name: str) -> None:
    """Have `top` and `ps -e` show this process by a name, where the system lets it."""
    with suppress(OSError):
        NAME_HERE.write_text(name)


def run(script: str) -> int:
    """Run a script as `python SCRIPT` does, in a process that is there for it; the exit status."""
    sys.argv = [script]
    sys.path.insert(0, str(Path(script).parent))
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def begin() -> None:
    """Be the server; in its forks, the job."""
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the server, too, but without a traceback
    import_packages()
    if len(list(THREADS_HERE.iterdir())) > 1:
        return  # a fork has none of its parent's threads, and what they held stays held
    gc.collect()
    gc.freeze()  # a job that looked through all this would copy it
    call_itself("fork_server")
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        script = serve(channel)
    status = 0
    if script is not None:
        signal.signal(signal.SIGINT, interrupt)
        leave_server()
        call_itself(Path(script).stem.rpartition(".")[2])
        status = run(script)
        # What Python does when a process ends, but for taking everything apart.
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        atexit._run_exitfuncs()
        logging.shutdown()
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    # To take apart what was imported would take longer than many a job, which copies all of it first.
    os._exit(status)


if __name__ == "__main__":
    begin()
