"""Control sockets and the lifeline."""

import asyncio
import os

import pytest

from tollway.adapters.control.client import ControlError, ask, ask_now
from tollway.adapters.control.lifeline import ChildLifeline, ParentLifeline
from tollway.adapters.control.server import ControlServer, Declined


async def _double(question):
    return {"value": question["value"] * 2}


async def _break(question):
    raise RuntimeError("boom")


async def test_an_action_may_decline(tmp_path, caplog):
    """With a reason, and without a word in the log: it is no bug."""

    async def decline(question):
        raise Declined("not now")

    server = ControlServer(str(tmp_path / "s"), {"later": decline})
    await server.start()
    with pytest.raises(ControlError, match="not now"):
        await ask(str(tmp_path / "s"), "later")
    await server.close()
    assert not caplog.records


async def test_closing_leaves_a_successors_socket_alone(tmp_path):
    """An orphaned keeper that ends after its successor began must not take its address away."""
    path = str(tmp_path / "keeper.sock")
    old, new = ControlServer(path, {}), ControlServer(path, {"double": _double})
    await old.start()
    await new.start()
    try:
        await old.close()
        assert (await ask(path, "double", value=1))["value"] == 2
    finally:
        await new.close()
    assert not os.path.exists(path)


@pytest.mark.parametrize("depth", [1, 30])
async def test_asks_are_answered_however_deep_the_path(tmp_path, depth):
    """A socket path beyond the kernel's 108 bytes works like a short one."""
    folder = tmp_path.joinpath(*["folder"] * depth)
    folder.mkdir(parents=True)
    path = str(folder / "0.sock")
    server = ControlServer(path, {"double": _double, "break": _break})
    await server.start()
    try:
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert (await ask(path, "double", value=21))["value"] == 42
        assert (await asyncio.to_thread(ask_now, path, "double", value=4))["value"] == 8
        with pytest.raises(ControlError, match="no action"):
            await ask(path, "unknown")
        with pytest.raises(ControlError, match="boom"):
            await ask(path, "break")
        assert (await ask(path, "double", value=1))["value"] == 2
    finally:
        await server.close()
    with pytest.raises(ControlError):
        await ask(path, "double", value=1)


async def test_a_silent_process_is_an_error_in_time(tmp_path):
    """An ask never waits longer than its timeout."""

    async def hang(question):
        await asyncio.sleep(60)
        return {}

    server = ControlServer(str(tmp_path / "s"), {"hang": hang})
    await server.start()
    started = asyncio.get_running_loop().time()
    with pytest.raises(ControlError):
        await ask(str(tmp_path / "s"), "hang", timeout_s=0.1)
    assert asyncio.get_running_loop().time() - started < 2
    await server.close()


async def test_lifeline_carries_settings_reports_and_the_end():
    """The child reads its settings first; either side learns of the other's end."""
    parent = ParentLifeline()
    child = ChildLifeline(os.dup(parent.child_end.fileno()))
    await parent.begin({"settings": {"a": 1}})
    assert child.settings() == {"settings": {"a": 1}}
    seen, ended = [], asyncio.Event()
    reading = asyncio.create_task(parent.reports(seen.append))
    child.report("ready", slot=3)
    while not seen:
        await asyncio.sleep(0)
    assert seen == [{"event": "ready", "slot": 3}]
    child.watch(asyncio.get_running_loop(), ended.set)
    reading.cancel()
    parent.close()
    await asyncio.wait_for(ended.wait(), 5)
    child.report("ignored")
    child.close()
