"""The kernel of a notebook, forked by a process that has imported its libraries where there is one."""

from jupyter_client import AsyncKernelManager


class Kernel(AsyncKernelManager):
    """Started as ever, `python -m ipykernel_launcher ...`, but by way of `mae_lib.warm`."""

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        command = super().format_kernel_cmd(extra_arguments)
        module = command.index("-m") + 1
        return [*command[:module], "mae_lib.warm", *command[module:]]
