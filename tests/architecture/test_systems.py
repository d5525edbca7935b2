"""Each place in which systems differ has a test, and what one of them lacks is named in one layer alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.imports import ROOT, sources

PLACES: Final = {
    "tests/unit/test_platforms.py": {
        "macOS refuses the mode of a socket": "test_programs_of_one_user_meet",
        "Windows has no O_CLOEXEC, and opens as text": "test_a_private_file_keeps_each_byte_and_is_replaced",
        "Windows has no AF_UNIX: an engine": "test_programs_of_one_user_meet",
        "Windows has no AF_UNIX: other programs": "test_a_program_with_a_token_is_served",
        "Windows has no AF_UNIX: the desktop": "test_without_unix_sockets_no_desktop_is_told",
        "loopback is open to all users": "test_loopback_tells_nothing_to_who_does_not_know_the_secret",
        "macOS has no SO_PEERCRED": "test_another_user_is_told_by_the_kernel",
        "Windows has no add_reader: a relay": (
            "test_a_relay_runs_where_the_loop_waits_for_sockets_and_else_says_so"
        ),
        "Windows has no add_reader: links": "test_connections_are_taken_where_the_loop_waits_for_no_socket",
        "Windows has no add_reader: input": "test_lines_are_read_where_the_loop_waits_for_no_pipe",
        "macOS cannot poll /dev/tty": "test_a_terminal_is_gone_only_when_it_is",
        "only Linux has CLOCK_BOOTTIME": "test_the_clock_of_sleep_goes_on",
        "Windows ignores modes": "test_modes_tell_who_reads_where_the_system_has_them",
        "Windows keeps what is open: a profile": "test_a_lock_keeps_off_a_second_engine_until_it_is_released",
        "Windows keeps what is open: an endpoint": "test_the_end_of_an_engine_leaves_the_file_of_the_next",
        "Windows keeps what is open: all that is stored": "test_a_slice_of_the_suite_passes_on_each_system",
        "macOS' own terminal sends no Alt": "test_no_key_that_macos_shows_needs_alt",
        "Windows has no pread": "test_bytes_are_read_and_written_at_a_place",
        "Windows has one position per file": "test_threads_write_and_read_one_file_at_their_places",
        "Windows has no statvfs": "test_the_room_of_a_disk_is_what_is_free",
        "Windows has no O_NOFOLLOW": "test_a_link_that_is_not_followed_is_refused_where_users_can_make_one",
        "Windows opens no folder": "test_what_is_read_for_this_person_is_opened_without_waiting",
        "Windows names a lost sector otherwise": "test_a_lost_sector_is_known_by_what_the_system_says",
        "Windows has other locks": "test_a_lock_keeps_off_a_second_engine_until_it_is_released",
        "Windows has no SIGHUP": "test_signals_are_heeded_where_the_system_has_them",
        "Windows has no resource": "test_what_only_unix_bounds_is_left_alone_elsewhere",
        "only Linux has Landlock and prctl": "test_what_only_unix_bounds_is_left_alone_elsewhere",
    },
    "tests/unit/network/test_interfaces.py": {
        "only Linux has netlink: addresses": "test_without_the_kernel_the_same_addresses_are_found",
        "only Linux has netlink: kinds": "test_elsewhere_the_name_tells_the_kind",
    },
    "tests/unit/network/test_netlink.py": {
        "only Linux has netlink: neighbours and routes": "test_elsewhere_nothing_is_asked",
    },
    "tests/unit/network/test_watch.py": {
        "only Linux has netlink: changes": "test_what_the_kernel_does_not_tell_is_looked_at_each_second",
    },
    "tests/unit/tools/bench/test_rest.py": {
        "only Linux has /proc and strace": "test_what_the_system_does_not_say_is_not_taken",
    },
    "tests/unit/cli/test_service.py": {
        "no systemd and no launchd": "test_without_a_manager_nothing_is_written",
    },
}
"""Where systems differ, and the test that shows what holds on each."""

_ABSENT: Final = {
    "os": {
        *("pread", "pwrite", "preadv", "pwritev", "fdatasync", "posix_fallocate", "statvfs", "fstatvfs"),
        *("fchmod", "fchown", "lseek", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "O_NONBLOCK"),
    },
    "socket": {"AF_UNIX", "SO_PEERCRED", "AF_NETLINK"},
    "asyncio": {"start_unix_server"},
    "fcntl": {"flock", "lockf"},
    "time": {"CLOCK_BOOTTIME", "CLOCK_MONOTONIC"},
}
_APART: Final = {
    "chat/network/netlink.py": "Linux alone, and asked for there alone",
    "chat/tools/bundle/launch.py": "runs before anything of the project is there",
}


def _named(root: Path) -> Iterator[str]:
    """What a system lacks and a module outside of the layer names."""
    for folder in ("chat", "tui", "protocol"):
        for path in sources(root, folder):
            name = path.relative_to(root).as_posix()
            if name.startswith("chat/platforms/") or name in _APART:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Attribute(value=ast.Name(id=module), attr=lacked):
                        if lacked in _ABSENT.get(module, ()):
                            yield f"{name}: {module}.{lacked}"


@pytest.mark.parametrize("path", PLACES)
def test_each_place_in_which_systems_differ_has_a_test(path: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    assert [place for place, name in PLACES[path].items() if f"def {name}(" not in source] == []


def test_what_a_system_lacks_is_named_in_one_layer() -> None:
    assert list(_named(ROOT)) == []


def test_a_planted_call_is_seen(tmp_path: Path) -> None:
    planted = tmp_path / "chat" / "storage" / "pieces.py"
    planted.parent.mkdir(parents=True)
    planted.write_text("import os\nos.pread(3, 1, 0)\n", encoding="utf-8")
    assert list(_named(tmp_path)) == ["chat/storage/pieces.py: os.pread"]
