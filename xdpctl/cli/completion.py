"""Completion in bash, for which a colon ends a word: `a:eth0` comes as three."""

from __future__ import annotations

import os

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    split_arg_string,
)


class ColonBashComplete(BashComplete):
    """Puts words with colons together again, and answers with what follows the last colon."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words = split_arg_string(os.environ["COMP_WORDS"])[: int(os.environ["COMP_CWORD"]) + 1]
        words += [""] * (int(os.environ["COMP_CWORD"]) + 1 - len(words))
        joined: list[str] = []
        for word in words:
            if joined and (word == ":" or joined[-1].endswith(":")):
                joined[-1] += word
            else:
                joined.append(word)
        # Bash has taken nothing away where the word came whole.
        self._prefix = joined[-1].rpartition(":")[0] if words[-1] != joined[-1] else ""
        return joined[1:-1], joined[-1]

    def format_completion(self, item: CompletionItem) -> str:
        if self._prefix:
            item.value = item.value.removeprefix(f"{self._prefix}:")
        return super().format_completion(item)


add_completion_class(ColonBashComplete)
