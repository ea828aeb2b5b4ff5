"""The grid operator's page: nodes, flexibility, limits and the discharge lock-out."""

from __future__ import annotations

import json
from datetime import timedelta

from nicegui import ui

from controller.console.forms import told
from controller.console.grid.panels import flexibility_chart, limits_html, node_now_html
from controller.console.live import Live, text
from controller.console.network import tree_html
from controller.console.shell import PERIOD_S, Visit, card, frame
from controller.domain.ids import NodeId
from controller.runtime.door import NodeView

_SLOW_LOOKS = 5
"""Flexibility changes with the plan: every so many looks are enough."""
_HOURS = {1: "1", 2: "2", 4: "4", 8: "8", 0: ""}
"""How long a limit may be set for, in hours; 0: until it is withdrawn."""


class GridPage:
    """One open page of a grid operator."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._words = visit.words
        self._selected = ""
        self._looks = 0
        self._chart_text = ""
        self._locked = False

    async def build(self) -> None:
        """Makes the page and starts to look."""
        say = self._words.say
        self._frame = frame(self._words, "Grid operator", self._visit.who.label)
        with ui.element("main").classes("w-page"):
            ui.html(f'<h1 class="w-sr">{text(say("Grid operator"))}</h1>', sanitize=False)
            with ui.element("div").classes("w-columns"):
                with ui.element("div").classes("w-column"), card(say("Network")):
                    self._tree = Live(label=say("Network")).classes("w-tree-box").on_press(self._pick)
                with ui.element("div").classes("w-column"):
                    with ui.element("section").classes("w-card"):
                        self._title = Live()
                        self._node = Live()
                        self._chart = ui.echart({"series": []}).classes("w-chart")
                    with card(say("Limits in force")):
                        self._limits = Live(polite=True).classes("w-wide").on_press(self._withdraw)
                        self._limit_form()
                    with card(say("Discharge below this node")):
                        self._lock_state = Live(polite=True)
                        self._lock = ui.button(on_click=self._switch_lock, color="negative")
                        self._lock.props("unelevated no-caps")
        await self._look()
        ui.timer(PERIOD_S, self._look)

    def _limit_form(self) -> None:
        say = self._words.say
        ui.html(f"<h3>{text(say('Set a limit'))}</h3>", sanitize=False)
        with ui.element("div").classes("w-form"):
            self._import = ui.number(label=say("Draw at most (kW)"), min=0, format="%.1f")
            self._export = ui.number(label=say("Feed in at most (kW)"), min=0, format="%.1f")
            spans = {
                hours: say("for {hours} h", hours=shown) if hours else say("until withdrawn")
                for hours, shown in _HOURS.items()
            }
            self._span = ui.select(spans, value=4, label=say("How long"))
            for field in (self._import, self._export, self._span):
                field.props("outlined dense")
            ui.button(say("Set the limit"), on_click=self._set_limit).props("unelevated no-caps")

    async def _look(self) -> None:
        words = self._words
        state = await self._visit.feed.state()
        if not self._selected and state.nodes:
            self._selected = next((n.id for n in state.nodes if n.kind == "feeder"), state.nodes[0].id)
        self._frame.show(state, words)
        self._tree.show(tree_html(state.nodes, self._selected, words))
        node = next((node for node in state.nodes if node.id == self._selected), None)
        if node is None:
            return
        self._title.show(f"<h2>{text(node.id)}</h2>")
        self._node.show(node_now_html(node, words))
        self._show_lock(node)
        self._limits.show(limits_html(await self._visit.feed.door.limits(node.id), words))
        if self._looks % _SLOW_LOOKS == 0:
            await self._show_chart(node)
        self._looks += 1

    async def _show_chart(self, node: NodeView) -> None:
        options = flexibility_chart(await self._visit.feed.door.flexibility(node.id), self._words)
        written = json.dumps(options)
        if written != self._chart_text:
            self._chart_text = written
            self._chart.options.clear()
            self._chart.options.update(options)
            self._chart.update()

    def _show_lock(self, node: NodeView) -> None:
        say = self._words.say
        self._locked = node.discharge_locked_out
        line = say("Locked out until somebody releases it.") if self._locked else say("Allowed where agreed.")
        self._lock_state.show(f"<p>{text(('■ ' if self._locked else '✓ ') + line)}</p>")
        self._lock.set_text(say("Release the lock-out") if self._locked else say("Lock discharge out"))

    async def _pick(self, pressed: dict[str, str]) -> None:
        self._selected = pressed.get("node", self._selected)
        self._looks = 0
        await self._look()

    async def _set_limit(self) -> None:
        state = await self._visit.feed.state()
        hours = int(self._span.value or 0)
        if self._import.value is None and self._export.value is None:
            ui.notify(self._words.say("Enter at least one of the two limits."), type="warning")
            return
        async with told(self._words, "The limit is set."):
            await self._visit.feed.door.put_limit(
                node=NodeId(self._selected),
                import_kw=self._import.value,
                export_kw=self._export.value,
                from_utc=None,
                to_utc=state.now + timedelta(hours=hours) if hours else None,
                who=self._visit.who,
            )
        await self._again()

    async def _withdraw(self, pressed: dict[str, str]) -> None:
        async with told(self._words, "The limit is withdrawn."):
            await self._visit.feed.door.withdraw_limit(
                node=NodeId(self._selected), limit_id=pressed.get("limit", ""), who=self._visit.who
            )
        await self._again()

    async def _switch_lock(self) -> None:
        door, node = self._visit.feed.door, NodeId(self._selected)
        if self._locked:
            async with told(self._words, "The lock-out is released."):
                await door.release_lockout(node=node, who=self._visit.who)
        else:
            async with told(self._words, "Discharge is locked out."):
                await door.put_lockout(node=node, who=self._visit.who)
        await self._again()

    async def _again(self) -> None:
        self._visit.feed.forget()
        await self._look()


async def grid_page(visit: Visit) -> None:
    """Builds the page of a grid operator."""
    await GridPage(visit).build()
