"""BuildKit, where it is found, in this order:

  1. buildkitd and buildctl in PATH, or dockerd and docker: a daemon of our own for each round, with an empty root
  2. a daemon that answers buildctl ($BUILDKIT_HOST or the usual socket) or docker: whose store is not ours to empty,
     so the rows that begin with nothing are left out

It counts as found when it has built something. A docker client from 23 on needs its buildx plugin for that; of
several in PATH the first that can is taken. Without root there is no daemon of our own.
"""
import os
import shutil
import signal
import subprocess
import tempfile
import time

from tools import measured, say, total

TRIAL = "FROM scratch\nCOPY Dockerfile /\n"


def in_path(name):
    """All programs of that name."""
    places = os.environ.get("PATH", "").split(":")
    return [p for p in (os.path.join(d, name) for d in places) if os.access(p, os.X_OK)]


def answers(*argv, **more):
    return subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=60, **more).returncode == 0


def peak_of(pid):
    """Peak KiB of a process and of all that it has started."""
    kib = 0
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        kib += sum(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as f:
        children = f.read().split()
    return kib + sum(peak_of(int(child)) for child in children)


class Daemon:
    """One of our own: its root, its socket and its log are below `directory`."""

    def __init__(self, directory, argv, ready):
        self.log = open(os.path.join(directory, "daemon.log"), "wb")   # pylint: disable=consider-using-with
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 30
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise OSError(f"{argv[0]} does not start: see {directory}/daemon.log")
            time.sleep(0.1)

    def stop(self):
        """The peak KiB of all its processes."""
        try:
            peak = peak_of(self.process.pid)
        except (OSError, ValueError):
            peak = 0
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.log.close()
        return peak


class BuildKit:
    """What a tool of this benchmark is, by a client and, if there is a program for it, a daemon of its own."""
    name = "BuildKit"
    client = daemon_program = None
    never_empty = False

    def __init__(self, directory, registry, work):
        os.makedirs(directory, exist_ok=True)
        self.base, self.repo, self.work = f"{registry.host}/base:1", f"{registry.host}/app:edge", work
        self.env = dict(os.environ)
        self.daemon = self.start(directory) if self.daemon_program else None

    def close(self):
        return self.daemon.stop() if self.daemon else 0

    def deploy(self):
        raise NotImplementedError

    def build(self):
        raise NotImplementedError

    def steps(self, image):
        raise NotImplementedError

    def start(self, directory):
        raise NotImplementedError


class Docker(BuildKit):
    def start(self, directory):
        # A socket's path has at most 107 bytes.
        self.socket = tempfile.mkdtemp(prefix="imgmake-bench.")
        address = f"unix://{self.socket}/s"
        self.env["DOCKER_HOST"] = address
        return Daemon(directory, [
            self.daemon_program, "--iptables=false", "--bridge=none", "--data-root", os.path.join(directory, "data"),
            "--exec-root", os.path.join(self.socket, "exec"), "--pidfile", os.path.join(self.socket, "pid"),
            "-H", address], lambda: answers(self.client, "version", env=self.env))

    def close(self):
        peak = super().close()
        if self.daemon:
            shutil.rmtree(self.socket, ignore_errors=True)
        return peak

    def docker_build(self, *more):
        return measured(self.client, "build", "-q", "--network=host", "--build-arg", f"BASE={self.base}", *more, ".",
                        cwd=self.work, env={**self.env, "DOCKER_BUILDKIT": "1"})

    def build(self):
        return self.docker_build("-t", self.repo, "-f", "Containerfile")

    def steps(self, image):
        return self.docker_build("-f", f"Steps.{image}")

    def deploy(self):
        return total(self.build(), measured(self.client, "push", "-q", self.repo, env=self.env))


class Buildctl(BuildKit):
    def start(self, directory):
        self.socket = tempfile.mkdtemp(prefix="imgmake-bench.")
        self.env["BUILDKIT_HOST"] = f"unix://{self.socket}/s"
        config = os.path.join(directory, "buildkitd.toml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f'[registry."{self.base.split("/")[0]}"]\n  http = true\n')
        return Daemon(directory, [
            self.daemon_program, "--config", config, "--root", os.path.join(directory, "root"),
            "--addr", self.env["BUILDKIT_HOST"]], lambda: answers(self.client, "debug", "workers", env=self.env))

    def close(self):
        peak = super().close()
        if self.daemon:
            shutil.rmtree(self.socket, ignore_errors=True)
        return peak

    def solve(self, file, *more):
        return measured(self.client, "build", "--progress=plain", "--frontend=dockerfile.v0", "--local", "context=.",
                        "--local", "dockerfile=.", "--opt", f"filename={file}", "--opt", f"build-arg:BASE={self.base}",
                        *more, cwd=self.work, env=self.env)

    def build(self):
        return self.solve("Containerfile")

    def steps(self, image):
        return self.solve(f"Steps.{image}")

    def deploy(self):
        return self.solve("Containerfile", "--output",
                          f"type=image,name={self.repo},push=true,registry.insecure=true")


class Nowhere:
    host = "localhost:1"


def can_build(kind, work, directory):
    """A daemon of its own starts, or one that runs answers, and it builds."""
    with open(os.path.join(work, "Containerfile"), "w", encoding="utf-8") as f:
        f.write(TRIAL.replace("Dockerfile", "Containerfile"))
    try:
        tool = kind(directory, Nowhere, work)
    except OSError as e:
        say(f"bench: {e}")
        return False
    try:
        tool.build()
        return True
    except (SystemExit, OSError, subprocess.SubprocessError) as e:
        say(f"bench: this is no BuildKit: {str(e).splitlines()[-1]}")
        return False
    finally:
        tool.close()


def kinds():
    """All that could be one, those with a daemon of their own first."""
    clients = [(Buildctl, c, "buildkitd") for c in in_path("buildctl")]
    clients += [(Docker, c, "dockerd") for c in in_path("docker")]
    if os.geteuid() == 0:
        for of, client, name in clients:
            for daemon in in_path(name)[:1]:
                yield type("Own", (of,), {"client": client, "daemon_program": daemon})
    for of, client, _ in clients:
        if answers(client, *(["debug", "workers"] if of is Buildctl else ["version"])):
            yield type("Running", (of,), {"client": client, "never_empty": True})


def found(below):
    """[the one to measure], or []."""
    for kind in kinds():
        with tempfile.TemporaryDirectory(dir=below) as work, tempfile.TemporaryDirectory(dir=below) as directory:
            if can_build(kind, work, directory):
                say(f"bench: BuildKit by {kind.client}, "
                    + (f"with {kind.daemon_program}" if kind.daemon_program else "whose daemon is running"))
                return [kind]
    say("bench: BuildKit is not found")
    return []
