"""The log: what every event leaves behind, what conflicts, and that the chain holds."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.model import canonical, log
from cellbank.model.digest import digest_of
from cellbank.model.errors import (
    CellbankError,
    InvalidName,
    NameConflict,
    NotCanonical,
    PushConflict,
    RuleBroken,
)
from cellbank.model.log import Derivation, Draft, Kept, Record, State, Table
from tests.strategies import digests, json_values, kinds, texts

PACKAGE = "aics/demo"
ONE, TWO, THREE = (digest_of(bytes([i])) for i in range(3))


def draft(event: str, **fields: object) -> Draft:
    return msgspec.structs.replace(Draft(event, "n" * 32), **fields)


def after(state: State, event: str, **fields: object) -> State:
    return log.state_after(PACKAGE, state, draft(event, **fields))


def chain(*drafts: Draft) -> list[Kept]:
    found: list[Kept] = []
    for each in drafts:
        record = log.next_record(PACKAGE, found[-1] if found else None, each)
        found.append(log.decode_record(log.encode_record(record)))
    return found


def test_a_push_moves_latest_and_nothing_else() -> None:
    state = State(ONE, {"t": ONE}, {"1": ONE}, {"1": "bad"}, gone={"x": "y"})
    expected = msgspec.structs.replace(state, latest=TWO)
    assert expected == after(state, "push", revision=TWO, base=ONE)


def test_a_first_push_builds_on_nothing() -> None:
    assert State(latest=ONE) == after(State(), "push", revision=ONE)
    with pytest.raises(PushConflict):
        after(State(), "push", revision=ONE, base=TWO)


@pytest.mark.parametrize("base", ["", THREE])
def test_a_push_conflicts_if_latest_is_not_its_base(base: str) -> None:
    with pytest.raises(PushConflict):
        after(State(latest=ONE), "push", revision=TWO, base=base)


@pytest.mark.parametrize("revision", ["", "x", ONE[:-1], ONE.upper() + "a"])
def test_a_push_names_a_revision(revision: str) -> None:
    with pytest.raises(RuleBroken):
        after(State(), "push", revision=revision)


def test_a_push_brings_a_deleted_package_back() -> None:
    state = after(State(latest=ONE), "delete")
    assert state == State(latest=ONE, deleted=True)
    assert State(latest=TWO) == after(state, "push", revision=TWO, base=ONE)


def test_a_tag_is_set_moved_and_removed() -> None:
    state = after(State(), "tag", name="t", revision=ONE)
    assert State(tags={"t": ONE}) == state
    state = after(state, "tag", name="t", revision=TWO, expect=ONE)
    assert State(tags={"t": TWO}) == state
    assert State() == after(state, "tag", name="t", expect=TWO)


@pytest.mark.parametrize("expect", ["", TWO])
def test_a_tag_conflicts_if_its_value_is_not_what_was_seen(expect: str) -> None:
    with pytest.raises(NameConflict):
        after(State(tags={"t": ONE}), "tag", name="t", revision=THREE, expect=expect)
    with pytest.raises(NameConflict):
        after(State(tags={"u": ONE}), "tag", name="t", revision=THREE, expect=ONE)


def test_the_tag_latest_and_bad_names_are_refused() -> None:
    with pytest.raises(RuleBroken):
        after(State(), "tag", name="latest", revision=ONE)
    with pytest.raises(InvalidName):
        after(State(), "tag", name="-rf", revision=ONE)
    with pytest.raises(InvalidName):
        after(State(), "version", name="v1", revision=ONE)


def test_a_version_is_given_once_in_whatever_spelling() -> None:
    state = after(State(), "version", name="1.0", revision=ONE)
    assert State(versions={"1.0": ONE}) == state
    for name in ("1.0", "1.0.0", "1"):
        for revision in (ONE, TWO):
            with pytest.raises(NameConflict):
                after(state, "version", name=name, revision=revision)
    for name in ("1.0.1", "1.0rc1", "1!1.0", "10", "1.0+a"):
        assert after(state, "version", name=name, revision=TWO).versions[name] == TWO


def test_there_are_at_most_1000_tags_and_10_000_versions() -> None:
    full = State(tags={f"t{i}": ONE for i in range(1000)})
    with pytest.raises(RuleBroken):
        after(full, "tag", name="more", revision=ONE)
    assert 1000 == len(after(full, "tag", name="t1", revision=TWO, expect=ONE).tags)
    assert 999 == len(after(full, "tag", name="t1", expect=ONE).tags)
    full = State(versions={f"{i}.1": ONE for i in range(10_000)})
    with pytest.raises(RuleBroken):
        after(full, "version", name="20000", revision=ONE)


def test_a_yank_gives_its_reason_until_it_is_taken_back() -> None:
    state = after(State(), "yank", name="1.0", message="wrong plate")
    assert State(yanked={"1.0": "wrong plate"}) == state
    assert State() == after(state, "unyank", name="1.0")
    assert State() == after(State(), "unyank", name="1.0")


def test_a_frozen_package_takes_no_push_tag_or_version() -> None:
    frozen = after(State(latest=ONE), "freeze")
    assert State(latest=ONE, frozen=True) == frozen
    for event, fields in (
        ("push", {"revision": TWO, "base": ONE}),
        ("tag", {"name": "t", "revision": ONE}),
        ("version", {"name": "1", "revision": ONE}),
    ):
        with pytest.raises(RuleBroken):
            after(frozen, event, **fields)
    assert after(frozen, "yank", name="1", message="x").yanked
    assert State(latest=ONE) == after(frozen, "unfreeze")


def test_a_move_a_purge_and_tables() -> None:
    assert State(moved_to="aics/other") == after(State(), "move", name="aics/other")
    assert State(gone={ONE: "law"}) == after(State(), "purge", name=ONE, message="law")
    tables = {"fovs": Table(ONE, 5, "x")}
    assert State(latest=ONE) == after(State(latest=ONE), "tables", revision=ONE, tables=tables)


@pytest.mark.parametrize(
    ("event", "revision", "tables"),
    [
        ("tables", "", {"fovs": Table(ONE, 5)}),
        ("tag", ONE, {"fovs": Table(ONE, 5)}),
        ("tables", ONE, {"": Table(ONE, 5)}),
        ("tables", ONE, {"../fovs": Table(ONE, 5)}),
        ("tables", ONE, {"Fovs": Table(ONE, 5)}),
        ("tables", ONE, {"9": Table(ONE, 5)}),
        ("tables", ONE, {"f" * 65: Table(ONE, 5)}),
        ("tables", ONE, {"fovs\n": Table(ONE, 5)}),
        ("tables", ONE, {"fovs": Table("../x", 5)}),
        ("tables", ONE, {"fovs": Table(ONE, -1)}),
        ("push", ONE, {"fovs": Table(ONE, log.MAX_TABLE_BYTES + 1)}),
        ("push", ONE, {f"k{i}": Table(ONE, 5) for i in range(65)}),
    ],
)
def test_tables_that_break_a_rule_are_neither_written_nor_read(
    event: str, revision: str, tables: dict[str, Table]
) -> None:
    with pytest.raises(RuleBroken):
        after(State(), event, name="t", revision=revision, tables=tables)
    if event == "tables" and revision:
        record = Record("tables", 1, "n", 0, PACKAGE, revision=revision, tables=tables)
        with pytest.raises(NotCanonical):
            log.decode_record(log.encode_record(record))


def test_a_table_with_its_default_written_is_refused() -> None:
    record = Record("tables", 1, "n", 0, PACKAGE, revision=ONE, tables={"fovs": Table(ONE, 5)})
    data = log.encode_record(record)
    assert record == log.decode_record(data).record
    with pytest.raises(NotCanonical, match="writer"):
        log.decode_record(data.replace(b'"size":5', b'"size":5,"writer":""'))


def test_the_newest_record_about_a_revision_that_names_tables_tells_them() -> None:
    old, new = {"fovs": Table(ONE, 5)}, {"wells": Table(TWO, 6)}
    records = chain(
        draft("push", revision=ONE, tables=old),
        draft("push", revision=TWO, base=ONE),
        draft("tables", revision=ONE, tables=new),
        draft("tag", name="t", revision=ONE),
    )
    assert new == log.tables_of(reversed(records), ONE)
    assert old == log.tables_of(reversed(records[:2]), ONE)
    assert {} == log.tables_of(reversed(records), TWO)


def test_every_event_is_known_and_no_other() -> None:
    fields = {"revision": ONE, "name": "1"}
    for event in log.EVENTS:
        assert after(State(), event, **fields) is not None
    with pytest.raises(RuleBroken):
        after(State(), "destroy", **fields)


def test_no_event_changes_the_state_it_was_given() -> None:
    state = State(ONE, {"t": ONE}, {"1": ONE}, {"1": "bad"}, gone={"x": "y"})
    before = canonical.encode(msgspec.to_builtins(state))
    for event in log.EVENTS:
        try:
            after(state, event, revision=TWO, base=ONE, name="2", message="m")
        except CellbankError:
            continue
    assert before == canonical.encode(msgspec.to_builtins(state))


# --- records ------------------------------------------------------------------------------------

states = st.builds(
    State,
    st.just("") | digests,
    st.dictionaries(texts, digests, max_size=2),
    st.dictionaries(texts, digests, max_size=2),
    st.dictionaries(texts, texts, max_size=2),
    st.booleans(),
    texts,
    st.booleans(),
    st.dictionaries(digests, texts, max_size=2),
)
records = st.builds(
    Record,
    event=st.sampled_from(log.EVENTS) | texts,
    format=st.just(1),
    nonce=texts,
    number=st.integers(0, log.LAST_KEY),
    package=texts,
    author=texts,
    base=st.just("") | digests,
    derived_from=st.none() | st.builds(Derivation, texts, digests, texts),
    expect=texts,
    history=st.just("") | digests,
    message=texts,
    name=texts,
    packs=st.lists(digests, max_size=2),
    previous=st.just("") | digests,
    revision=st.just("") | digests,
    state=states,
    tables=st.dictionaries(kinds, st.builds(Table, digests, st.integers(0, 9), texts), max_size=2),
    time=texts,
)


@given(records)
def test_a_record_comes_back_from_its_bytes(record: Record) -> None:
    data = log.encode_record(record)
    kept = log.decode_record(data)
    assert (record, data, digest_of(data)) == (kept.record, kept.data, kept.digest)


@given(records)
def test_no_default_is_written(record: Record) -> None:
    def hollow(document: dict[str, object]) -> list[str]:
        return [key for key, value in document.items() if value in ("", None, {}, [], False)]

    document = canonical.decode(log.encode_record(record))
    needed = {"event", "nonce", "number", "package"}
    assert [] == [key for key in hollow(document) if key not in needed]
    assert [] == hollow(document.get("state", {}))


def test_a_state_that_holds_nothing_is_left_out() -> None:
    [first, second] = chain(draft("freeze"), draft("unfreeze"))
    assert b'"state":{"frozen":true}' in first.data
    assert b"state" not in second.data
    assert State() == second.record.state


@given(records, st.dictionaries(texts.map("x_{}".format), json_values, min_size=1, max_size=2))
def test_fields_that_are_not_known_are_passed_over(record: Record, more: dict[str, object]) -> None:
    document = canonical.decode(log.encode_record(record))
    document["state"] = document.get("state", {}) | more
    data = canonical.encode(document | more)
    kept = log.decode_record(data)
    assert (record, data) == (kept.record, kept.data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"format":1', b'"format":2'),
        (b'"number":0', b'"number":-1'),
        (b'"number":0', b'"number":1000000000000'),
        (b'"number":0', b'"number":0.5'),
        (b'"number":0,', b""),
        (b'"nonce":', b'"nonsense":'),
        (b'"event":"push"', b'"event":1'),
        (b'"event":"push"', b'"event":null'),
        (b'"state":{', b'"state":{"tags":[],'),
        (b"{", b"{ "),
        (b"}}", b"}}\n"),
        (b'"event":"push",', b'"event":"push","event":"push",'),
    ],
)
def test_what_is_no_record_is_refused(old: bytes, new: bytes) -> None:
    [good] = chain(draft("push", revision=ONE))
    data = good.data.replace(old, new, 1)
    assert data != good.data
    with pytest.raises(NotCanonical):
        log.decode_record(data)


def test_a_record_with_any_bit_flipped_breaks_the_chain() -> None:
    older, newer = chain(
        draft("push", revision=ONE, author="µ", message="first", packs=[TWO]),
        draft("tag", revision=ONE, name="t", derived_from=Derivation("a/b", TWO)),
    )
    log.check_chain(PACKAGE, newer, older)
    for bit in range(len(older.data) * 8):
        data = bytearray(older.data)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotCanonical):
            log.check_chain(PACKAGE, newer, log.decode_record(bytes(data)))


@given(st.binary(max_size=60) | json_values.map(canonical.encode))
def test_no_bytes_make_the_readers_stumble(data: bytes) -> None:
    for read in (log.decode_record, log.decode_history):
        try:
            read(data)
        except NotCanonical:
            continue


# --- the chain ----------------------------------------------------------------------------------


def test_each_record_names_the_one_before() -> None:
    found = chain(
        draft("push", revision=ONE),
        draft("push", revision=TWO, base=ONE),
        draft("version", revision=TWO, name="1.0"),
    )
    assert [0, 1, 2] == [kept.record.number for kept in found]
    assert ["", found[0].digest, found[1].digest] == [kept.record.previous for kept in found]
    assert State(TWO, versions={"1.0": TWO}) == found[-1].record.state
    for newer, older in zip(found[1:], found, strict=False):
        log.check_chain(PACKAGE, newer, older)


def test_a_chain_with_a_gap_a_fork_or_a_stranger_is_refused() -> None:
    one, two, three = chain(
        draft("push", revision=ONE), draft("freeze"), draft("unfreeze", message="x")
    )
    [other] = chain(draft("push", revision=TWO))
    for newer, older in ((three, one), (one, two), (two, two), (two, other), (two, three)):
        with pytest.raises(NotCanonical):
            log.check_chain(PACKAGE, newer, older)
    with pytest.raises(NotCanonical):
        log.check_chain("aics/other", two, one)


@given(st.integers(0, log.LAST_KEY), st.integers(0, log.LAST_KEY))
def test_keys_list_the_newest_record_first(one: int, two: int) -> None:
    assert 12 == len(log.record_key(one))
    assert one == log.record_number(log.record_key(one))
    assert (one > two) == (log.record_key(one) < log.record_key(two))


def test_a_history_gives_the_very_bytes_of_its_records() -> None:
    found = chain(draft("push", revision=ONE), draft("yank", name="é", message="\x1f"))
    for earlier in ("", THREE):
        assert (earlier, found) == log.decode_history(log.encode_history(earlier, found))
    assert b"earlier" not in log.encode_history("", found)


def test_a_history_keeps_fields_that_are_not_known_here() -> None:
    [kept] = chain(draft("push", revision=ONE))
    data = canonical.encode(canonical.decode(kept.data) | {"x_new": [1.5]})
    stranger = log.decode_record(data)
    assert ("", [stranger]) == log.decode_history(log.encode_history("", [stranger]))


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"{}",
        b'{"records":{}}',
        b'{"format":1,"records":[1]}',
        b'{"records": []}',
        b'{"records":[]}',
    ],
)
def test_what_is_no_history_is_refused(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        log.decode_history(data)


@pytest.mark.parametrize("field", ["revision", "previous", "history"])
@pytest.mark.parametrize("value", ["../../etc/passwd", "zz" * 32, ONE[:-1]])
def test_a_record_that_names_what_is_no_digest_is_refused(field: str, value: str) -> None:
    record = msgspec.structs.replace(Record("push", 1, "n", 0, PACKAGE), **{field: value})
    with pytest.raises(NotCanonical, match="not a digest"):
        log.decode_record(log.encode_record(record))


@pytest.mark.parametrize(
    "state", [State(latest="x"), State(tags={"t": "x"}), State(versions={"1": "x"})]
)
def test_a_state_that_names_what_is_no_digest_is_refused(state: State) -> None:
    record = Record("push", 1, "n", 0, PACKAGE, state=state)
    with pytest.raises(NotCanonical, match="not a digest"):
        log.decode_record(log.encode_record(record))
