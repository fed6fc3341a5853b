"""Steps: every fact in one of them, none too large for an append, and progress that tells what is done."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.events import Actor, By, Content, Fact, MailDelivered, Message, Wrap
from gateway.domain.group import GROUP_FACTS_MAX, GROUP_OCTETS_MAX, encode_group
from gateway.domain.progress import STEP_FACTS_MAX, Joined, Step, steps
from gateway.mail.ids import AccountId, MailboxId, MailId

AT = datetime(2026, 11, 23, tzinfo=UTC)


def delivered(recipients: tuple[int, ...], octets: int) -> Fact:
    event = MailDelivered(
        at=AT,
        actor=Actor("system"),
        by=By("test", "0", ""),
        mail_id=MailId("mail_x"),
        account_id=AccountId("acc_x"),
        mailbox_id=MailboxId("mbx_x"),
        recipients=recipients,
        message=Message(Content("digest", 1), 1, b"x" * octets),
        keys=(Wrap("account.acc_x", b"w" * 40),),
        internal_date=AT,
    )
    return Fact("box.00.acc_x", event)


@given(st.lists(st.integers(0, 60_000), max_size=60), st.integers(0, 3))
def test_any_facts_fit_into_steps_that_tell_whom_they_end(sizes: list[int], before: int) -> None:
    ended = list(range(before))
    facts = [delivered((before + i,), octets) for i, octets in enumerate(sizes)]
    parts = list(steps(9, facts, ended))
    assert [fact for part in parts for fact in part.facts] == facts
    done = before
    for part in parts[:-1]:
        done += len(part.facts)
        assert (part.up_to, part.ended) == (8, tuple(range(done)))
    assert (parts[-1].up_to, parts[-1].ended) == (9, ())
    for part in parts:
        assert len(part.facts) <= STEP_FACTS_MAX
        assert part.octets == (sum(e.octets for e in encode_group(part.facts)) if part.facts else 0)
        assert part.octets < GROUP_OCTETS_MAX


def test_steps_are_joined_as_long_as_they_fit_one_append() -> None:
    small = [next(steps(position, [delivered((0,), 10)])) for position in range(1, 601)]
    group = Joined(small[0])
    taken = [step for step in small[1:] if group.take(step)]
    assert group.parts == small[: 1 + len(taken)]
    assert 1 + len(taken) == STEP_FACTS_MAX < GROUP_FACTS_MAX  # router.decided goes with them
    together = group.step()
    assert (together.up_to, len(together.facts)) == (STEP_FACTS_MAX, STEP_FACTS_MAX)
    assert together.octets == sum(step.octets for step in group.parts)


def test_large_steps_are_not_joined() -> None:
    large = Step(1, (), (), GROUP_OCTETS_MAX // 2)
    assert not Joined(large).take(large)


def test_progress_alone_is_a_step() -> None:
    assert list(steps(7, [])) == [Step(7)]
