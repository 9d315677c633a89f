"""What an operation asks for, seen from a resolver: how a loader knows the cheapest call that will do."""

from collections.abc import Collection

from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode

from peoplegraph.context import Info


def is_sole_root_field(info: Info) -> bool:
    """Whether the operation has one root field and no fragments beside it, so that nothing else reads along."""
    selections = info.operation.selection_set.selections
    return len(selections) == 1 and isinstance(selections[0], FieldNode)


def selects_anywhere(info: Info, fields: Collection[str]) -> bool:
    """Whether the operation, or a fragment beside it, selects any of `fields` on whatever type."""
    raw = info._raw_info  # noqa: SLF001  # the only way to the fragments
    waiting = [info.operation.selection_set, *(f.selection_set for f in raw.fragments.values())]
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, FieldNode) and selection.name.value in fields:
                return True
            if isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
                waiting.append(selection.selection_set)
    return False


def selects_only(info: Info, type_names: Collection[str], fields: Collection[str]) -> bool:
    """Whether what is selected below this field on any of `type_names` is all among `fields`.

    Directives are not looked at: what they may leave out counts as selected. Each fragment is entered once,
    so this takes time linear in the document, where `info.selected_fields` expands every spread anew.
    """
    raw = info._raw_info  # noqa: SLF001  # the only way to the nodes that is not exponential
    entered: set[str] = set()
    waiting = [node.selection_set for node in raw.field_nodes]
    while waiting:
        selection_set = waiting.pop()
        for selection in selection_set.selections if selection_set else ():
            if isinstance(selection, FieldNode):
                if selection.name.value not in fields:
                    return False
                continue
            fragment = _fragment(selection, raw.fragments, entered)
            if fragment is None:
                continue
            condition = fragment.type_condition
            if condition is None or condition.name.value in type_names:
                waiting.append(fragment.selection_set)
    return True


def _fragment(
    selection: object, fragments: dict[str, FragmentDefinitionNode], entered: set[str]
) -> InlineFragmentNode | FragmentDefinitionNode | None:
    if isinstance(selection, FragmentSpreadNode):
        name = selection.name.value
        if name in entered:
            return None
        entered.add(name)
        return fragments[name]
    return selection if isinstance(selection, InlineFragmentNode) else None
