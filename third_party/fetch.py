"""Fills .deps/VARIANT with LibTorch and what it is linked with, as pip lays them out; nobody's Python is touched.

    fetch.py VARIANT [--toolkit DIR]      VARIANT: cpu, cuda (toolkit in DIR) or cuda-wheels (toolkit from wheels)

The lists beside this file are pip requirements; "# unpacked:" above each names the members of the wheel that are kept. Wheels
are checked against their hash, unpacked into a folder aside and renamed, so an interrupted run repairs itself when repeated.
A wheel that already lies in .deps/wheels is not downloaded: that is how a machine without network is served.
"""

import argparse
import dataclasses
import fnmatch
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEPS = HERE.parent / ".deps"
WHEELS = DEPS / "wheels"
LISTS = {
    "cpu": ["torch", "cuda-runtime"],
    "cuda": ["torch", "cuda-runtime", "cuda-libs"],
    "cuda-wheels": ["torch", "cuda-runtime", "cuda-libs", "cuda-toolkit"],
}
GIGABYTES = {"cpu": 1.2, "cuda": 4.0, "cuda-wheels": 8.0}  # wheels while unpacking and the result together, rounded up
PLATFORMS = ["manylinux_2_28", "manylinux_2_27", "manylinux_2_25", "manylinux_2_18", "manylinux_2_17", "manylinux2014",
             "manylinux2010"]


@dataclasses.dataclass
class Package:
    name: str
    version: str
    sha256: str
    line: str  # the requirement as pip reads it
    members: list  # patterns of the wheel's members to unpack; * also matches /
    header: list  # file and macros that tell a toolkit's version of it; empty: any of the same soname will do
    always_fetched: bool

    def wheel(self):
        """The wheel in .deps/wheels if it is there and its hash is right, else None (and a wrong one is removed)."""
        for path in WHEELS.glob(f"{self.name.replace('-', '_')}-{self.version}-*.whl"):
            with open(path, "rb") as file:
                digest = hashlib.sha256()
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
            if digest.hexdigest() == self.sha256:
                return path
            say(f"{path.name} is incomplete or not the pinned file: removed")
            path.unlink()
        return None


def say(message):
    print(f"   {message}", file=sys.stderr, flush=True)


def read_list(path, cuda):
    packages, notes = [], {}
    for line in path.read_text().splitlines():
        requirement = re.match(r"([\w-]+)==(\S+) --hash=sha256:([0-9a-f]{64})$", line)
        if requirement:
            members = notes.get("unpacked", []) + (notes.get("unpacked in CUDA builds", []) if cuda else [])
            packages.append(Package(*requirement.groups(), line, members, notes.get("header", []), "always fetched" in notes))
            notes = {}
        elif line.startswith("# ") and ": " in line:
            key, value = line[2:].split(": ", 1)
            notes[key] = value.split()
    return packages


# --- a toolkit that is already installed -------------------------------------------------------------------------
def in_toolkit(toolkit, member):
    """Files of the toolkit that stand for a member pattern such as nvidia/cu13/lib/libcublas.so.13."""
    kind = "lib" if "/lib/" in member else "include"
    folders = ["lib64", "lib", "targets/x86_64-linux/lib"] if kind == "lib" else ["include", "targets/x86_64-linux/include"]
    for folder in folders:
        found = glob.glob(str(toolkit / folder / os.path.basename(member)))
        if found:
            return found
    return []


def new_enough(toolkit, package):
    if not package.header:
        return True
    name, *macros = package.header
    found = in_toolkit(toolkit, f"include/{name}")
    if not found:
        return False
    text = Path(found[0]).read_text(errors="replace")
    values = [re.search(rf"#define\s+{macro}\s+(\d+)", text) for macro in macros]
    wanted = [int(part) for part in package.version.split(".")][: len(macros)]
    return all(values) and [int(value.group(1)) for value in values] >= wanted


def link_from_toolkit(toolkit, package, folder):
    """Links what the toolkit has of the package; False when something is missing or too old, and nothing is linked then."""
    # The compiler finds the toolkit's own headers by itself; single headers named in the list are linked.
    members = [member for member in package.members if not member.endswith("include/*")]
    found = {member: in_toolkit(toolkit, member) for member in members}
    if package.always_fetched or not all(found.values()) or not new_enough(toolkit, package):
        return False
    for member, files in found.items():
        target = folder / os.path.dirname(member)
        target.mkdir(parents=True, exist_ok=True)
        for file in files:
            (target / os.path.basename(file)).symlink_to(file)
    return True


# --- wheels ------------------------------------------------------------------------------------------------------
def download(packages):
    """Paths of the packages' wheels by name, downloading those that are not there yet."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    wheels = {package.name: package.wheel() for package in packages}
    missing = [package for package in packages if not wheels[package.name]]
    if not missing:
        return wheels
    say("downloading " + ", ".join(f"{package.name} {package.version}" for package in missing))
    aside = DEPS / "download.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    requirements = aside / "requirements.txt"
    requirements.write_text("".join(f"{package.line}\n" for package in missing))
    command = [sys.executable, "-m", "pip", "download", "--require-hashes", "--no-deps", "--only-binary=:all:",
               "--no-cache-dir", "--disable-pip-version-check", "--python-version", "3.11", "--dest", str(WHEELS),
               "--requirement", str(requirements)]
    for platform in PLATFORMS:
        command += ["--platform", f"{platform}_x86_64"]
    failed = subprocess.call(command, stdout=sys.stderr, env={**os.environ, "TMPDIR": str(aside)}) != 0
    shutil.rmtree(aside)
    wheels.update({package.name: package.wheel() for package in missing})
    missing = [package for package in packages if not wheels[package.name]]
    if failed or missing:
        sys.exit("error: pip could not download the pinned wheels. Repeat the command when pip and the network work, or copy\n"
                 f"  these wheels into {WHEELS}:\n  "
                 + "\n  ".join(f"{package.name} {package.version} sha256 {package.sha256}" for package in missing))
    return wheels


def unpack(package, path, folder):
    with zipfile.ZipFile(path) as wheel:
        members = [info for info in wheel.infolist() if not info.is_dir()
                   and any(fnmatch.fnmatchcase(info.filename, pattern) for pattern in package.members)]
        for pattern in package.members:
            if not any(fnmatch.fnmatchcase(info.filename, pattern) for info in members):
                sys.exit(f"error: the wheel of {package.name} {package.version} has no {pattern}; correct {HERE}")
        say(f"unpacking {package.name} {package.version} ({sum(info.file_size for info in members) / 1e6:.0f} MB)")
        for info in members:
            file = Path(wheel.extract(info, folder))
            file.chmod(0o644 | info.external_attr >> 16 & 0o111)  # zipfile forgets what is executable


def complete_toolkit(folder):
    """Compilers look for lib64/ and for names without a version, which wheels lack."""
    cu13 = folder / "nvidia" / "cu13"
    (cu13 / "lib64").symlink_to("lib")
    for library in list((cu13 / "lib").glob("*.so.*")):
        plain = library.with_name(library.name.split(".so.")[0] + ".so")
        if not plain.exists():
            plain.symlink_to(library.name)


def main():
    parser = argparse.ArgumentParser(description="Fetches LibTorch and what it is linked with into .deps/VARIANT.")
    parser.add_argument("variant", choices=LISTS)
    parser.add_argument("--toolkit", type=Path, help="an installed CUDA 13 toolkit, from which libraries are linked")
    arguments = parser.parse_args()

    lists = [HERE / f"{name}.txt" for name in LISTS[arguments.variant]]
    recipe = hashlib.sha256(b"".join(path.read_bytes() for path in lists)).hexdigest() + f" {arguments.toolkit or ''}\n"
    final = DEPS / arguments.variant
    stamp = final / "recipe"
    if stamp.exists() and stamp.read_text() == recipe:
        return

    print(f"== Fetching LibTorch for the {arguments.variant} build into .deps/{arguments.variant}", file=sys.stderr)
    aside = DEPS / f"{arguments.variant}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    free = shutil.disk_usage(DEPS).free / 1e9
    if free < GIGABYTES[arguments.variant]:
        sys.exit(f"error: {DEPS} has {free:.1f} GB free and the {arguments.variant} build needs "
                 f"{GIGABYTES[arguments.variant]} GB for its libraries: free some, or move the clone")
    cuda = arguments.variant != "cpu"
    packages = [package for path in lists for package in read_list(path, cuda)]
    linked = [package for package in packages
              if arguments.toolkit and link_from_toolkit(arguments.toolkit, package, aside)]
    if linked:
        say(f"from {arguments.toolkit}: " + ", ".join(package.name.replace("nvidia-", "") for package in linked))
    fetched = [package for package in packages if package not in linked]
    wheels = download(fetched)
    for package in fetched:
        unpack(package, wheels[package.name], aside)
    if arguments.variant == "cuda-wheels":
        complete_toolkit(aside)
    (aside / "recipe").write_text(recipe)
    shutil.rmtree(final, ignore_errors=True)
    aside.rename(final)
    for package in fetched:
        if package.name != "torch":  # kept: both the CPU and the CUDA build unpack it
            wheels[package.name].unlink()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on from here")
