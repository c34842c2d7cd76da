"""Commands that refuse two values of an option where both may be meant: the first would be dropped in silence."""

import os
from typing import Any

from typer import BadParameter
from typer.core import TyperCommand

from enct5.errors import EncT5Error

_SEVERAL = ("text", "label", "eval", "report_to")  # take several names, separated by commas


class OnceCommand(TyperCommand):
    """A command that refuses options of names which are given twice; of others the last one counts, as ever."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As ever, after a look at what is given: several files are one argument, too.

        Args:
            ctx: The command's context.
            args: Its arguments.

        Raises:
            BadParameter: If an option of names is given twice.
            EncT5Error: If files are given one by one.
        """
        values, more, given = self.make_parser(ctx).parse_args(args=list(args))
        for option in self.params:
            if option.name in _SEVERAL and given.count(option) > 1:
                twice: Any = option
                raise BadParameter(
                    "given twice; give it once, several names separated by commas (first,second)", ctx=ctx, param=twice
                )
        data = values.get("data")
        if more and isinstance(data, str) and all(map(os.path.isfile, (data, *more))):
            raise EncT5Error(
                f"{data} and {more[0]} are two arguments, and several files are one: write "
                f"`{','.join((data, *more))}`, or a pattern between quotes"
            )
        return super().parse_args(ctx, args)
