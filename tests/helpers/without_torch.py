"""Runs code where torch and transformers cannot be imported: what is told there is told before they are needed."""

import subprocess
import sys

# Libraries may ask whether there is a torch; to run it is what takes seconds.
_BLOCK = """
import importlib.machinery
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "transformers", "accelerate"):
            return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        raise RuntimeError(f"{spec.name} was imported")

    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Block())
"""


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    return subprocess.run([sys.executable, "-c", _BLOCK + code], capture_output=True, text=True, check=False)


def run_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the `enct5` command likewise."""
    return run_code(f"sys.argv = {['enct5', *map(str, arguments)]!r}\nfrom enct5.cli import main\nmain()\n")
