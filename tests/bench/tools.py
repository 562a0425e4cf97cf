"""What is measured, and how: imgmake and its peers, each with a registry and a store of its own."""
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMGMAKE = os.path.join(ROOT, "build/release/imgmake")
PAGES = 2 << 30          # more than any piece of work writes
REPEAT, ENOUGH = 5, 10   # runs of one piece of work in a round: so many, or as many as begin in so many seconds
SETTLED = 2.5            # seconds after which a file's time tells of each change, and digests are remembered


def say(text):
    print(text, file=sys.stderr, flush=True)


def measured(*argv, cwd=None, env=None):
    """Seconds and peak KiB of a command, children included. What earlier ones left to be written is not its work."""
    os.sync()
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        child = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            said.seek(0)
            sys.exit(f"bench: {' '.join(argv)}: status {child.returncode}\n{said.read().decode(errors='replace')}")
        return seconds, usage.ru_maxrss


def read_all(directory):
    """So that no disk is measured: this machine's host takes unused memory back within seconds, a file's pages too."""
    for where, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(where, name), "rb") as f:
                while f.read(1 << 20):
                    pass


def take_pages():
    """So that no host is measured either: it takes unused memory back within seconds, and a page that it has to give
    anew takes 4 to 8 microseconds, ten times what writing it does. For each tool alike, before what writes much. In a
    process of its own: our peak would be that of all that we start."""
    os.sync()
    subprocess.run([sys.executable, "-c", f"bytearray({PAGES})"], check=True)


def spread(directory):
    """Makes it an empty directory whose subdirectories get places on the disk of their own: ext4 without a
    journal gives out no inode that was deleted in the last minutes, and goes past all of them for each new file near
    by. So what one tool deletes does not slow the next."""
    os.makedirs(directory)
    if shutil.which("chattr"):
        subprocess.run(["chattr", "+T", directory], check=False, stderr=subprocess.DEVNULL)   # others know no such thing


def total(*runs):
    return sum(r[0] for r in runs), max(r[1] for r in runs)


def median(work):
    """Of several runs, the median of seconds and the highest peak."""
    runs, start = [], time.monotonic()
    while not runs or len(runs) < REPEAT and time.monotonic() - start < ENOUGH:
        runs.append(work())
    return statistics.median(r[0] for r in runs), max(r[1] for r in runs)


class Registry:
    """docker-registry on a free port of loopback, with an empty directory, holding the base."""

    def __init__(self, directory, base):
        self.directory = directory
        os.makedirs(directory)
        config = os.path.join(directory, "config.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\n"
                    "http: {addr: '127.0.0.1:0', secret: bench}\nlog: {accesslog: {disabled: true}}\n"
                    % os.path.join(directory, "data"))
        self.process = subprocess.Popen(["docker-registry", "serve", config], text=True, bufsize=1,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for line in self.process.stderr:
            if "listening on" in line:
                self.host = "localhost:" + line.split("127.0.0.1:")[1].split('"')[0].strip()
                break
        # Its log must not fill the pipe.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)
        subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{base}:1",
                        f"docker://{self.host}/base:1"], check=True)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.drain.wait()


class Imgmake:
    """close() ends what serves it, and says the peak KiB of that."""
    name = "imgmake"
    never_empty = False   # true: its store is as others have left it

    def __init__(self, directory, registry, work):
        self.env = {**os.environ, "IMGMAKE_STORE": os.path.join(directory, "store")}
        self.variables = [f"BASE={registry.host}/base:1", f"REPO={registry.host}/app"]
        self.work = work

    def do(self, command):
        return measured(IMGMAKE, command, *self.variables, cwd=self.work, env=self.env)

    def steps(self, image):
        return measured(IMGMAKE, "-f", "Steps", image, self.variables[0], cwd=self.work, env=self.env)

    def build(self):
        return self.do("build")

    def deploy(self):
        return self.do("deploy")

    def close(self):
        return 0


class Buildah:
    name = "buildah"
    never_empty = False

    def __init__(self, directory, registry, work):
        self.common = ["buildah", "--root", os.path.join(directory, "root"),
                       "--runroot", os.path.join(directory, "run")]
        self.base, self.repo, self.work = f"{registry.host}/base:1", f"{registry.host}/app:edge", work

    def build(self):
        # Isolation by chroot is the one that works in any virtual machine, and its fastest.
        return measured(*self.common, "bud", "-q", "--layers", "--isolation", "chroot", "--tls-verify=false",
                        "--build-arg", f"BASE={self.base}", "-t", self.repo, "-f", "Containerfile", ".", cwd=self.work)

    def steps(self, image):
        return measured(*self.common, "bud", "-q", "--layers", "--isolation", "chroot", "--tls-verify=false",
                        "--build-arg", f"BASE={self.base}", "-f", f"Steps.{image}", ".", cwd=self.work)

    def deploy(self):
        return total(self.build(), measured(*self.common, "push", "-q", "--tls-verify=false", self.repo))

    def close(self):
        return 0
