"""The Python SDK of Plato goes through the life of a session with a desktop.

    plato_sdk.py sync|async|chrome

The double is at PLATO_BASE_URL with PLATO_API_KEY, and its desktops at PLATO_DESKTOP_URL. What came of it is printed
as one line of JSON. `chrome` only brings up the Chrome of a desktop, whose Chrome hangs.
"""

import asyncio
import base64
import json
import os
import struct
import sys

from plato.sims import ubuntu_vm
from plato.sims.ubuntu_vm.models import BashRequest, ComputerRequest, EditRequest
from plato.v2 import AsyncPlato, Env, Plato


def desktop_url(job_id, port=9000, gateway_host=""):
    return os.environ["PLATO_DESKTOP_URL"].replace("{job_id}", job_id).replace("{port}", str(port))


# Without this the SDK asks the production gateway for desktops, wherever its API is.
ubuntu_vm.client._base_url_from_job_id = desktop_url

ACTIONS = [
    {"action": "mouse_move", "coordinate": [500, 300]},
    {"action": "left_click", "coordinate": [640, 360]},
    {"action": "type", "text": "milk"},
    {"action": "key", "text": "Return"},
    {"action": "scroll", "coordinate": [640, 360], "scroll_direction": "down", "scroll_amount": 3},
    {"action": "left_click_drag", "coordinate": [800, 400]},
    {"action": "wait", "duration": 0.01},
    {"action": "cursor_position"},
    {"action": "key", "text": "ctrl+s"},
]
EDITS = [
    {"command": "create", "path": "/tmp/a.txt", "file_text": "one\ntwo\n"},
    {"command": "str_replace", "path": "/tmp/a.txt", "old_str": "two", "new_str": "zwei"},
    {"command": "insert", "path": "/tmp/a.txt", "insert_line": 0, "new_str": "zero"},
    {"command": "view", "path": "/tmp/a.txt"},
    {"command": "undo_edit", "path": "/tmp/a.txt"},
]


def size_of(image):
    """Width and height of a PNG in base64, from its first chunk."""
    png = base64.b64decode(image)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return list(struct.unpack(">II", png[16:24]))


def mutations(state):
    return [len(result.state["mutations"]) for result in state.results.values()]


def through_sync():
    plato = Plato()
    session = plato.sessions.create(testcase="tc_1", timeout=600)
    desktop = session.desktop_env.sdk
    status = desktop.wait_for_desktop_ready(timeout=10)
    shots = [desktop.computer(ComputerRequest(action="screenshot"))]
    said = [desktop.computer(ComputerRequest(**action)) for action in ACTIONS]
    shots.append(desktop.computer(ComputerRequest(action="screenshot")))
    bash = desktop.bash(BashRequest(command="echo out; echo bad >&2"))
    edits = [desktop.edit(EditRequest(**edit)) for edit in EDITS]
    state = session.get_state()
    executed = session.execute("cat /home/user/notes.txt")
    urls = session.get_public_url()
    heartbeat = session.heartbeat()
    scored = session.evaluate({"answer": None})
    added = session.add_env(Env.simulator("espocrm", alias="crm"), ready_timeout=10)
    session.remove_env(added)
    aliases = [env.alias for env in session.envs]
    session.close()
    plato.close()
    return locals()


async def through_async():
    plato = AsyncPlato()
    session = await plato.sessions.create(testcase="tc_1", timeout=600)
    desktop = session.desktop_env.sdk
    status = await desktop.wait_for_desktop_ready(timeout=10)
    shots = [await desktop.computer(ComputerRequest(action="screenshot"))]
    said = [await desktop.computer(ComputerRequest(**action)) for action in ACTIONS]
    shots.append(await desktop.computer(ComputerRequest(action="screenshot")))
    bash = await desktop.bash(BashRequest(command="echo out; echo bad >&2"))
    edits = [await desktop.edit(EditRequest(**edit)) for edit in EDITS]
    state = await session.get_state()
    executed = await session.execute("cat /home/user/notes.txt")
    urls = await session.get_public_url()
    heartbeat = await session.heartbeat()
    scored = await session.evaluate({"answer": None})
    added = await session.add_env(Env.simulator("espocrm", alias="crm"), ready_timeout=10)
    await session.remove_env(added)
    aliases = [env.alias for env in session.envs]
    await session.close()
    await plato.close()
    return locals()


def report(seen):
    shots = [shot.base64_image for shot in seen["shots"]]
    print(
        json.dumps(
            {
                "status": seen["status"].status,
                "resolution": [seen["status"].resolution.width, seen["status"].resolution.height],
                "sizes": [size_of(shot) for shot in shots],
                "changed": shots[0] != shots[1],
                "position": seen["said"][7].output,
                "bash": [seen["bash"].output, seen["bash"].error],
                "edits": [edit.error for edit in seen["edits"]],
                "view": seen["edits"][3].output,
                "mutations": mutations(seen["state"]),
                "executed": [result.stdout for result in seen["executed"].results.values()],
                "urls": sorted(seen["urls"]),
                "heartbeat": seen["heartbeat"].success,
                "correct": seen["scored"].correct,
                "score": seen["scored"].score,
                "added": seen["added"].alias,
                "aliases": seen["aliases"],
            }
        )
    )


def through_chrome():
    """Brings up the Chrome of a desktop, which does not answer."""
    plato = Plato()
    session = plato.sessions.create(testcase="tc_1", timeout=600)
    session.desktop_env.sdk.ensure_chrome_cdp()
    session.close()
    plato.close()
    print(json.dumps({"chrome": "up"}))


if __name__ == "__main__" and sys.argv[1:] == ["chrome"]:
    through_chrome()
elif __name__ == "__main__":
    report(through_sync() if sys.argv[1:] == ["sync"] else asyncio.run(through_async()))
