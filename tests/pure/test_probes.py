"""One question, against real sockets on loopback: what passes, what fails, and that nothing takes for ever."""

import asyncio
import contextlib
import errno
import os
import random
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from supervisor.dockerd.tls import certificates
from supervisor.dockerd.tls.certificates import Purpose
from supervisor.engine import decode_checks
from supervisor.engine.port import ContainerAddress, ExecId
from supervisor.runtime import probes
from supervisor.runtime.health_scheduler import HealthScheduler, _Run
from supervisor.runtime.loop import Inbox
from supervisor.runtime.netns import _as_old, socket_of
from supervisor.runtime.probes import NO_WAY, ProbeResult, Probes
from tests.simulation import virtual_loop
from tests.simulation.engine_model import FakeEngine
from units.health import Check, Exec, Http, Tcp
from units.quantities import Instant, Seconds
from units.spec import ContainerId, UnitName

BOX = ContainerId("b" * 64)
FAR = ContainerAddress(0, "10.9.9.9", host_network=False)
HERE = ContainerAddress(0, "", host_network=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"


class Placed:
    """An engine of which only where its containers are is asked."""

    def __init__(self, where: ContainerAddress) -> None:
        self._where = where

    async def whereabouts(self, _container: ContainerId) -> ContainerAddress:
        return self._where

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


class Answering:
    """Passes once, if at all, and then there is this error."""

    def __init__(self, code: int, *, passed_before: bool) -> None:
        self._code, self._passes = code, passed_before

    async def ask(self, _check: Check, _container: ContainerId, _where: ContainerAddress) -> ProbeResult:
        if self._passes:
            self._passes = False
            return ProbeResult(passed=True, output="", kind="passed")
        return ProbeResult(passed=False, output="no way", kind="failed", no_way=self._code in NO_WAY)


class Unmeasured:
    def probed(self, *_: object) -> None: ...


Serving = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def says(answer: bytes, *, then: str = "close", heard: list[bytes] | None = None) -> Serving:
    """Hears a request, says this, and then closes, stays silent, or goes on and on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(request)
        writer.write(answer)
        with contextlib.suppress(OSError):
            while then == "more" and not reader.at_eof():
                writer.write(b"x" * 1000)
                await writer.drain()
                await asyncio.sleep(0)
            if then == "silence":
                await reader.read()
        writer.close()

    return serve


def ask(
    probe: Tcp | Http, serving: Serving | None, *, tls: ssl.SSLContext | None = None, timeout: float = 0.5
) -> ProbeResult:
    """``probe`` with its port filled in."""

    async def main() -> ProbeResult:
        asker = Probes(FakeEngine(random.Random(1)))
        talks: list[asyncio.Task[Any]] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talks.append(asyncio.current_task())  # type: ignore[arg-type]  # it is one
            assert serving is not None
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                await serving(reader, writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        if serving is None:
            server.close()
            await server.wait_closed()
        asked = replace(probe, port=port)
        outcome = await asker.ask(Check("c", asked, timeout=Seconds(timeout)), BOX, HERE)
        server.close()
        await asyncio.gather(*talks, return_exceptions=True)
        return outcome

    return asyncio.run(main())


def test_tcp_passes_where_somebody_listens() -> None:
    assert ask(Tcp(0), says(b"")).passed
    refused = ask(Tcp(0), None)
    assert (refused.passed, refused.kind) == (False, "failed")
    assert refused.output.endswith("connection refused")


def test_http_passes_by_status() -> None:
    heard: list[bytes] = []
    asked = Http(0, "/health?a=b", headers=(("X-Key", "k"),))
    told = ask(asked, says(OK, heard=heard))
    assert (told.passed, told.output) == (True, "status 200")  # Its body is nobody's business
    assert heard[0].startswith(b"GET /health?a=b HTTP/1.1\r\nHost: localhost:")
    assert b"\r\nX-Key: k\r\n" in heard[0]


@pytest.mark.parametrize(
    ("answer", "statuses", "good"),
    [
        (b"HTTP/1.1 302 there\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", ((200, 399),), True),
        (b"HTTP/1.1 302 there\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", ((200, 299),), False),
        (b"HTTP/1.1 404 no\r\nContent-Length: 0\r\n\r\n", ((200, 299), (404, 404)), True),
        (b"HTTP/1.1 204 none\r\n\r\n", ((200, 299),), True),
        (b"HTTP/1.1 204 none\r\n\r\nsurplus", ((200, 299),), True),
        (OK + b"surplus", ((200, 299),), True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n", ((200, 299),), True),
    ],
)
def test_the_range_of_what_is_good(answer: bytes, statuses: tuple[tuple[int, int], ...], good: bool) -> None:
    assert ask(Http(0, statuses=statuses), says(answer)).passed == good


def test_what_a_failing_answer_said_is_shown() -> None:
    told = ask(Http(0), says(b"HTTP/1.1 503 no\r\nContent-Length: 12\r\n\r\nno database\n"))
    assert told.output == "status 503: no database"


@pytest.mark.parametrize(
    ("serving", "passes"),
    [
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", then="more"), True),
        (says(b"HTTP/1.1 500 no\r\n\r\n", then="more"), False),
        (says(b"HTTP/1.1 500 no\r\nContent-Length: 9\r\n\r\nno", then="silence"), False),
        (says(b"HTTP/1.1 200 OK\r\nX: ", then="more"), False),
        (says(b"", then="silence"), False),
        (says(b"\x00\xff garbage\r\n\r\n"), False),
        (says(b"HTTP/1.1 20"), False),
        (says(b""), False),
    ],
    ids=["endless body", "endless bad body", "cut body", "endless head", "silence", "garbage", "cut head", "nothing"],
)
def test_nothing_takes_for_ever_and_nothing_raises(serving: Serving, passes: bool) -> None:
    told = ask(Http(0), serving, timeout=0.3)
    assert told.passed == passes
    assert len(told.output) <= probes.KEPT + 100


@pytest.fixture(scope="module")
def server_context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Signed by an authority that nobody knows."""
    folder: Path = tmp_path_factory.mktemp("tls")
    now = datetime.now(UTC)
    pair = certificates.make_leaf(certificates.make_ca(now), Purpose.SERVER, ("localhost",), now)
    (folder / "cert.pem").write_text(pair.cert)
    (folder / "key.pem").write_text(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_a_certificate_counts_unless_it_shall_not(server_context: ssl.SSLContext) -> None:
    assert ask(Http(0, tls=True, verify=False), says(OK), tls=server_context, timeout=3).passed
    told = ask(Http(0, tls=True), says(OK), tls=server_context, timeout=3)
    assert not told.passed
    assert "CERTIFICATE_VERIFY_FAILED" in told.output


def test_a_named_host_without_an_address_fails() -> None:
    async def main() -> ProbeResult:
        asker = Probes(FakeEngine(random.Random(1)))
        return await asker.ask(Check("c", Tcp(1, "no.such.host.invalid"), timeout=Seconds(5)), BOX, HERE)

    assert not asyncio.run(main()).passed


def test_a_process_of_another_container_is_never_entered() -> None:
    """The number of a process that has ended is another one's by now."""
    with pytest.raises(OSError, match="does not belong to container"):
        socket_of(ContainerAddress(os.getpid(), "", host_network=False), "f" * 64)


class Slow(FakeEngine):
    """How many of its commands run at once."""

    now = 0
    most = 0

    async def exec_run(self, exec_id: ExecId, limit: int) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.1)
            return await super().exec_run(exec_id, limit)
        finally:
            self.now -= 1


def with_engine(main: Callable[[Slow, Probes, ContainerId], Coroutine[Any, Any, None]]) -> None:
    async def all_of_it() -> None:
        engine = Slow(random.Random(1), images={"i"})
        container = await engine.create("box", '{"Image": "i"}')
        await engine.start(container)
        await main(engine, Probes(engine), container)

    virtual_loop.run(all_of_it())


def command(*words: str, timeout: float = 3) -> Check:
    return Check("c", Exec(words), timeout=Seconds(timeout))


def test_a_command_passes_by_its_exit_code() -> None:
    async def main(_engine: Slow, asker: Probes, box: ContainerId) -> None:
        assert await asker.ask(command("echo", "fine"), box, HERE) == ProbeResult(
            passed=True, output="fine", kind="passed"
        )
        assert (await asker.ask(command("false"), box, HERE)).output == "exit code 1"
        assert (await asker.ask(command("nope"), box, HERE)).output == "exit code 127"

    with_engine(main)


def test_never_more_than_two_commands_are_in_flight() -> None:
    async def main(engine: Slow, asker: Probes, box: ContainerId) -> None:
        told = await asyncio.gather(*(asker.ask(command("echo", str(n)), box, HERE) for n in range(20)))
        assert all(one.passed for one in told)
        assert engine.most == probes.EXECS

    with_engine(main)


def test_a_command_that_hangs_is_left_and_not_asked_again() -> None:
    async def main(engine: Slow, asker: Probes, box: ContainerId) -> None:
        assert (await asker.ask(command("sleep"), box, HERE)).output == "did not end within 3 s"
        begun = len([call for call in engine.calls if call[1] == "exec"])
        told = await asker.ask(command("sleep"), box, HERE)
        assert (told.kind, told.output) == ("timeout", "the previous command is still running")
        assert len([call for call in engine.calls if call[1] == "exec"]) == begun + 1

    with_engine(main)


def test_a_command_in_a_container_that_does_not_run_is_no_answer() -> None:
    async def main(engine: Slow, asker: Probes, box: ContainerId) -> None:
        await engine.remove(box)
        assert (await asker.ask(command("echo"), box, HERE)).kind == "error"

    with_engine(main)


def test_a_turn_is_waited_for_and_a_command_that_has_begun_has_its_whole_time() -> None:
    """Four that take nearly as long as they may, two at a time."""

    class Tardy(Slow):
        async def exec_run(self, exec_id: ExecId, limit: int) -> str:
            await asyncio.sleep(2.9)
            return await super().exec_run(exec_id, limit)

    async def all_of_it() -> None:
        engine = Tardy(random.Random(1), images={"i"})
        box = await engine.create("box", '{"Image": "i"}')
        await engine.start(box)
        asker = Probes(engine)
        one = replace(command("echo"), interval=Seconds(4), timeout=Seconds(3.5))
        assert all(told.passed for told in await asyncio.gather(*(asker.ask(one, box, HERE) for _ in range(4))))

    virtual_loop.run(all_of_it())


def test_a_command_of_an_engine_that_was_restarted_counts_as_over() -> None:
    async def main(engine: Slow, asker: Probes, box: ContainerId) -> None:
        await asker.ask(command("sleep"), box, HERE)
        engine.forget_execs()
        assert (await asker.ask(command("echo", "well"), box, HERE)).passed

    with_engine(main)


def test_where_no_way_leads_nothing_is_said_of_the_container() -> None:
    async def main() -> ProbeResult:
        asker = Probes(FakeEngine(random.Random(1)))
        nowhere = ContainerAddress(0, "", host_network=False)
        return await asker.ask(Check("c", Tcp(1), timeout=Seconds(1)), BOX, nowhere)

    told = asyncio.run(main())
    assert (told.kind, told.reached) == ("error", False)


@pytest.mark.parametrize("host", ["a..b", "x" * 70, ".x"])
def test_a_host_that_is_none_ends_nothing(host: str) -> None:
    async def main() -> ProbeResult:
        return await Probes(FakeEngine(random.Random(1))).ask(Check("c", Tcp(1, host)), BOX, HERE)

    assert not asyncio.run(main()).passed


def without_a_way(code: int, *, passed_before: bool = False, where: ContainerAddress = FAR) -> list[str]:
    """What three questions come to, and what is told, when the network answers with this."""
    told: list[str] = []

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            inbox = Inbox(asyncio.get_running_loop().time)
            asker = Answering(code, passed_before=passed_before)
            prober = HealthScheduler(
                Placed(where), inbox, tasks, Unmeasured(), chance=lambda: 0.5, probes=asker,
                unasked=lambda unit, check, why: told.append(f"{unit} {check}: {why}"),
            )  # fmt: skip
            check = Check("web", Tcp(80), retries=1, start_period=Seconds(0), interval=Seconds(1))
            run = _Run(UnitName("web"), BOX, 1, Instant(0), (check,))
            prober._runs[run.unit] = run
            for _ in range(3 + passed_before):
                await prober._ask(run, check, Seconds(100), 0.0)
            told.extend(one.outcome.kind for one in run.told["web"])
            while inbox.depth:
                told.append(str(getattr(inbox.take().event, "health", "")))
            prober.close()

    virtual_loop.run(main())
    return told


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPERM])
def test_what_could_not_be_asked_did_not_answer_no(code: int) -> None:
    """Until it has passed once, that there is no way is no verdict, and is told once."""
    assert without_a_way(code) == ["web web: no way", "error", "error", "error"]


def test_who_was_reached_before_and_is_not_any_more_has_failed() -> None:
    told = without_a_way(errno.EHOSTUNREACH, passed_before=True)
    assert told == ["passed", "failed", "failed", "failed", "healthy", "unhealthy"]


def test_a_refusal_is_an_answer() -> None:
    assert without_a_way(errno.ECONNREFUSED) == ["failed", "failed", "failed", "unhealthy"]


def test_no_address_of_a_rootless_engine_is_asked() -> None:
    """Its networks are not ours: at such an address there may be anybody, or nobody."""

    async def ask(where: ContainerAddress) -> ProbeResult:
        return await Probes(None).ask(Check("web", Tcp(1), timeout=Seconds(0.3)), BOX, where)

    for host_network in (False, True):
        where = ContainerAddress(2**22 + 1, "127.0.0.1", host_network=host_network, elsewhere=True)
        told = asyncio.run(ask(where))
        assert told.kind == "error"
        assert "its engine is rootless" in told.output


def test_a_pid_is_proved_by_the_namespace_that_the_engine_kept() -> None:
    """Where there are no cgroups to read it from; one that is used again is somebody else's."""
    mine = ContainerAddress(os.getpid(), "", host_network=False, sandbox=f"/proc/{os.getpid()}/ns/net")
    if os.geteuid() == 0:
        socket_of(mine, "f" * 64).close()
    for other in (
        replace(mine, sandbox="/proc/self/ns/pid"),
        replace(mine, sandbox="/no/such"),
        replace(mine, sandbox=""),
    ):
        with pytest.raises(ProcessLookupError):
            socket_of(other, "f" * 64)


def test_a_pid_is_proved_by_when_its_process_was_started() -> None:
    began = time.time()
    child = subprocess.Popen(["sleep", "100"])
    try:
        assert _as_old(child.pid, began)
        assert not _as_old(child.pid, began - 60)
        assert not _as_old(child.pid, 0.0)
    finally:
        child.kill()
        child.wait()


def test_an_engine_says_that_it_is_rootless() -> None:
    assert decode_checks.rootless({"SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]})
    assert not decode_checks.rootless({"SecurityOptions": ["name=seccomp,profile=rootless"]})
    assert not decode_checks.rootless({"SecurityOptions": None})
    assert not decode_checks.rootless([])
