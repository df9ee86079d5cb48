"""The kernel of a notebook, forked by a process that has imported its libraries where there is one."""

import sys
from typing import Any

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, NoSuchKernel


class KernelError(RuntimeError):
    """A kernel that cannot be started; the message says which, and why."""


class Kernel(AsyncKernelManager):
    """Started as ever, `python -m ipykernel_launcher ...`, or by `maebook.forkserver` if it is this Python's own."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """What `kernel.json` says. Raises KernelError where there is none, or none that can be read."""
        try:
            spec = super().kernel_spec
        except NoSuchKernel:
            here = ", ".join(sorted(self.kernel_spec_manager.find_kernel_specs())) or "none"
            raise KernelError(
                f"its kernel {self.kernel_name!r} is not installed here; open it with one that is ({here}) and save it"
            ) from None
        except Exception as error:  # of JSON, of a trait, of a file
            folder = self.kernel_spec_manager.find_kernel_specs().get(self.kernel_name)
            raise KernelError(f"{folder}/kernel.json of its kernel is damaged: {error}") from None
        if not spec.argv:
            raise KernelError(f"{spec.resource_dir}/kernel.json of its kernel has no command (argv)")
        return spec

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        command = super().format_kernel_cmd(extra_arguments)
        launcher = command.index("ipykernel_launcher") if "ipykernel_launcher" in command else 0
        if launcher > 1 and command[0] == sys.executable and command[launcher - 1] == "-m":
            command.insert(launcher, "maebook.forkserver")
        return command

    async def start_kernel(self, **settings: Any) -> None:
        """Raises KernelError when the system refuses: its program is gone, or a file cannot be made."""
        try:
            await super().start_kernel(**settings)
        except OSError as error:
            raise KernelError(
                f"its kernel {self.kernel_name!r} ({self.kernel_spec.resource_dir}/kernel.json) cannot be started: "
                f"{error.filename or self.kernel_spec.argv[0]}: {error.strerror}"
            ) from None
