"""What a front-end developer installs: the package that npm packs, in a project of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.tools import installed

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "client_sdk" / "javascript"
NODE_MODULES: Final = ROOT / "node_modules"
PEERS: Final = ("react", "react-dom", "scheduler", "vue", "@vue", "@types", "csstype")
"""What the bindings are bindings for, with their types."""

pytestmark = pytest.mark.xdist_group("npm-package")


def run(folder: Path, *command: str | Path) -> str:
    """What the command prints; it must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as `npm publish` would send it."""
    npm = installed("npm", "npm")
    assert NODE_MODULES.is_dir(), "the front-end's packages are not installed: make node-packages"
    folder = tmp_path_factory.mktemp("packed")
    run(PACKAGE, npm, "pack", "--pack-destination", folder)
    (packed,) = folder.glob("*.tgz")
    return packed


@pytest.fixture(scope="module")
def project(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A developer's project that has installed it, without a network."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    run(folder, "npm", "install", "--offline", "--ignore-scripts", tarball)
    return folder


@pytest.fixture(scope="module")
def project_with_peers(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one, which has React and Vue, too."""
    folder = tmp_path_factory.mktemp("with-peers") / "project"
    shutil.copytree(project, folder)
    for name in PEERS:
        (folder / "node_modules" / name).symlink_to(NODE_MODULES / name)
    return folder


def told(package: Path = PACKAGE) -> dict[str, Any]:
    return dict(json.loads((package / "package.json").read_text()))


def test_it_has_the_version_of_the_whole() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (told()["version"], told()["license"]) == (project["version"], project["license"])


def test_it_holds_the_modules_their_types_and_what_a_reader_needs_and_nothing_else(
    tarball: Path,
) -> None:
    with tarfile.open(tarball) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
    modules = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.js")}
    types = {f"declarations/{name.removesuffix('.js')}.d.ts" for name in modules}
    assert names == {"package.json", "README.md", "LICENSE"} | modules | types


def test_packing_leaves_nothing_behind(tarball: Path) -> None:
    assert tarball.exists()
    assert not (PACKAGE / "declarations").exists()
    assert not (PACKAGE / "LICENSE").exists()


def test_installing_it_installs_nothing_else(project: Path) -> None:
    lock = json.loads((project / "node_modules" / ".package-lock.json").read_text())
    assert list(lock["packages"]) == ["node_modules/yabam-events"]


def node(project: Path, script: str) -> Any:
    """What the module prints as JSON."""
    return json.loads(run(project, "node", "--input-type=module", "--eval", script))


def test_what_needs_no_framework_is_imported_in_node_without_one(project: Path) -> None:
    found = node(
        project,
        """
        const names = ["", "/svelte", "/elements", "/types"];
        const modules = await Promise.all(names.map((name) => import(`yabam-events${name}`)));
        console.log(JSON.stringify(modules.map((module) => Object.keys(module).length > 0)));
        """,
    )
    assert found == [True, True, True, False]


def test_a_server_draws_what_a_page_shows_before_anything_is_known(
    project_with_peers: Path,
) -> None:
    found = node(
        project_with_peers,
        """
        import { createElement } from "react";
        import { renderToString } from "react-dom/server";
        import { createSSRApp, h } from "vue";
        import { renderToString as drawnByVue } from "vue/server-renderer";
        import * as react from "yabam-events/react";
        import * as vue from "yabam-events/vue";
        import * as svelte from "yabam-events/svelte";

        const told = (orders, cart, { mode }) => `${orders.length} ${cart.loading} ${mode}`;
        const Board = () => createElement("p", null, told(
            react.useOrders({ store: "1" }),
            react.useDocument("party:1/5", "cart", { suspend: true }),
            react.useConnection(),
        ));
        const board = { setup() {
            const shown = [vue.useOrders(), vue.useDocument("party:1/5", "cart"), vue.useConnection()];
            return () => h("p", told(...shown.map((one) => one.value)));
        } };
        const shown = [];
        for (const store of [
            svelte.orders(null), svelte.document(null, "party:1/5", "cart"), svelte.connection(null),
        ]) store.subscribe((one) => shown.push(one))();
        console.log(JSON.stringify([
            renderToString(createElement(react.YabamProvider, { client: null }, createElement(Board))),
            await drawnByVue(createSSRApp(board).use(vue.yabam(null))),
            `<p>${told(...shown)}</p>`,
        ]));
        """,
    )
    assert found == ["<p>0 true starting</p>"] * 3


CONSUMER: Final = """
import { YabamClient, type YabamOptions } from "yabam-events";
import type { Order, ShownOrder } from "yabam-events/types";
import * as react from "yabam-events/react";
import * as vue from "yabam-events/vue";
import * as svelte from "yabam-events/svelte";
import { connect } from "yabam-events/elements";

// `any` would pass for everything; this is only true of the very type.
type Is<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const sure = <T extends true>(): T | void => {};

const options: YabamOptions = { core: "https://a.example", token: async () => "t", channels: ["store:1"], subject: "s" };
const client = new YabamClient(options);
// @ts-expect-error a channel is a text
new YabamClient({ core: "", token: "", channels: [1] });

const cart = client.state("party:1/5").get("cart");
export async function edits(shown: ShownOrder) {
  const edit = await cart.merge({ lines: { a: { quantity: 2 } } });
  const { outcome } = await edit.settled();
  sure<Is<typeof outcome, string>>();
  const step = await client.commands.transition(shown, "accepted");
  const { order } = await step.settled();
  sure<Is<typeof order, Order | null | undefined>>();
  // @ts-expect-error an order has items
  await client.commands.place({ store_id: "1", currency: "KRW" });
  // @ts-expect-error a document holds what JSON says
  await cart.set({ at: new Date() });
  // @ts-expect-error numbers by JSON Pointers
  await cart.add({ "/n": "1" });
  await client.state.batch(() => void cart.add({ "/n": 1 }), { atomic: true });
  const end: () => void = client.page.subscribe("quiet", (_detail, { own }) => void (own satisfies boolean));
  end();
  // @ts-expect-error what an event tells is JSON
  client.page.publish("quiet", () => 1);
}
sure<Is<typeof client.orders, Order[]>>();
sure<Is<typeof cart.version, number>>();
sure<Is<typeof client.state.waiting, number>>();

export function Board() {
  const orders = react.useOrders({ store: "1", statuses: ["placed"] });
  sure<Is<typeof orders, ShownOrder[]>>();
  const { mode, certainAt } = react.useConnection();
  sure<Is<typeof certainAt, number | null>>();
  const { pending, document } = react.useDocument("party:1/5", "cart", { suspend: true });
  sure<Is<typeof pending, number>>();
  // @ts-expect-error there is none on a server
  document.merge({});
  // @ts-expect-error a filter names a store
  react.useOrders({ shop: "1" });
  return `${mode} ${react.useOrder("a")?.order.status}`;
}
react.YabamProvider({ client, children: "x" });

export function setup() {
  const orders = vue.useOrders(() => ({ store: "1" }));
  sure<Is<typeof orders.value, ShownOrder[]>>();
  // @ts-expect-error what is shown is not changed here
  orders.value = [];
}
vue.yabam(null);

const unsubscribe: () => void = svelte
  .orders(client, { table: "5" })
  .subscribe((orders) => void (orders satisfies ShownOrder[]));
unsubscribe();
svelte.pageEvent(client, "quiet", false).subscribe((quiet) => void (quiet satisfies boolean));
connect(client);
"""


@pytest.mark.parametrize("resolution", ["nodenext", "bundler"])
def test_a_project_that_is_checked_strictly_takes_its_types(
    project_with_peers: Path, resolution: str
) -> None:
    (project_with_peers / "consumer.ts").write_text(CONSUMER)
    options = {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": False,
        "exactOptionalPropertyTypes": True,
        "target": "ES2022",
        "module": "nodenext" if resolution == "nodenext" else "esnext",
        "moduleResolution": resolution,
        "lib": ["ES2022", "DOM", "DOM.Iterable"],
        "types": [],
    }
    config = {"compilerOptions": options, "files": ["consumer.ts"]}
    (project_with_peers / "tsconfig.json").write_text(json.dumps(config))
    run(project_with_peers, NODE_MODULES / ".bin" / "tsc", "--project", ".")
