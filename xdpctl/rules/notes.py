"""What readers of a tree share: noting mistakes where they are, and going on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from xdpctl.rules.mistakes import BadRuleset, Mistake
from xdpctl.rules.model import Action
from xdpctl.rules.tree import Items, Node, Scalar, Table
from xdpctl.rules.values import NAME, did_you_mean, quoted

MISTAKES_MAX = 1000  # then the file is hardly worth reading on

# What other firewalls call it.
_OTHER_WORDS = {
    "saddr": "src", "source": "src", "daddr": "dst", "destination": "dst", "protocol": "proto",
    "port": "dport", "sports": "sport", "dports": "dport", "tcp_flags": "flags",
    "icmp_type": "icmp", "hoplimit": "ttl", "hop_limit": "ttl", "tos": "dscp", "size": "length",
    "target": "action", "verdict": "action", "policy": "default", "expiry": "expires",
    "accept": "pass", "allow": "pass", "permit": "pass", "deny": "drop", "reject": "drop",
    "block": "drop", "smac": "src_mac", "dmac": "dst_mac", "fragments": "fragment",
    "limit_burst": "burst", "limit_rate": "rate",
}  # fmt: skip


class Notes:
    """Mistakes and warnings about one file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []

    def mistake(self, node: Node, text: str) -> None:
        """Raises BadRuleset: enough is enough."""
        self.mistakes.append(Mistake(self.path, node.line, node.column, text))
        if len(self.mistakes) >= MISTAKES_MAX:
            raise BadRuleset(self.mistakes)

    def warning(self, node: Node, text: str) -> None:
        self.warnings.append(Mistake(self.path, node.line, node.column, text))

    def table(self, node: Node, what: str) -> list[tuple[Scalar, Node]]:
        """The pairs of a mapping, without keys that are no text or come again."""
        if not isinstance(node, Table):
            self.mistake(node, f"{what} is a mapping of keys to values, not {kind_of(node)}")
            return []
        pairs: dict[str, tuple[Scalar, Node]] = {}
        for key, value in node.pairs:
            if not isinstance(key, Scalar):
                self.mistake(key, f"{kind_of(key)} cannot be a key")
            elif key.text in pairs:
                first = pairs[key.text][0].line
                again = f" first in line {first}" if first else ""
                self.mistake(key, f"{quoted(key.text)} is here twice{again and ',' + again}")
            else:
                pairs[key.text] = (key, value)
        return list(pairs.values())

    def known(self, pairs: list[tuple[Scalar, Node]], keys: Collection[str]) -> Mapping[str, Node]:
        """By key; others are mistakes."""
        found = {}
        for key, value in pairs:
            if key.text in keys:
                found[key.text] = value
            else:
                self.mistake(key, f"unknown key {quoted(key.text)}{suggestion(key.text, keys)}")
        return found

    def items(self, node: Node, what: str) -> list[Node]:
        if isinstance(node, Items):
            return node.items
        self.mistake(node, f"{what} is a list, not {kind_of(node)}")
        return []

    def text(self, node: Node, what: str) -> str | None:
        """None: there is none, which is noted."""
        if isinstance(node, Scalar) and node.text:
            return node.text
        self.mistake(node, f"{what}: {missing_or_kind(node)}")
        return None

    def name(self, node: Node, what: str) -> str | None:
        """A name of letters, digits and `._-`."""
        text = self.text(node, what)
        if text is None or NAME.fullmatch(text):
            return text
        self.mistake(node, f"{quoted(text)} is no name: 1 to 63 of letters, digits and ._-")
        return None

    def action(self, node: Node, what: str, known: Sequence[Action]) -> Action | None:
        text = self.text(node, what)
        if text is None:
            return None
        words = [str(each) for each in known]
        if text in words:
            return Action(text)
        hint = suggestion(text, words)
        self.mistake(
            node, f"{what}: {quoted(text)} is not {', '.join(words[:-1])} or {words[-1]}{hint}"
        )
        return None


def suggestion(word: str, known: Collection[str]) -> str:
    other = _OTHER_WORDS.get(word.lower().replace("-", "_"))
    if other in known:
        return f': did you mean "{other}"?'
    return did_you_mean(word, known)


def kind_of(node: Node) -> str:
    return {Scalar: "one value", Items: "a list", Table: "a mapping"}[type(node)]


def missing_or_kind(node: Node) -> str:
    if isinstance(node, Scalar):
        return "the value is missing"
    return f"expected one value, not {kind_of(node)}"
