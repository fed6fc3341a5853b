"""The mails of a session, one after another: MAIL, RCPT, then DATA or BDAT, to the last octet of each.

Source: RFC 5321 §3.3, RFC 2920 §3.1 (what a pipelining client sends behind a refusal), RFC 3030 (CHUNKING,
BINARYMIME), RFC 3461 (DSN), RFC 6710 §4 (MT-PRIORITY), RFC 7293 (RRVS).
"""

from gateway.mail.envelope import Body
from gateway.mail.reply import PeerError, Reply
from gateway.protocols.smtp import demanding, effects, replies
from gateway.protocols.smtp.commands import Bdat, Data, Mail, Rcpt
from gateway.protocols.smtp.config import SessionConfig
from gateway.protocols.smtp.conversation import Awaited, Conversation
from gateway.protocols.smtp.data import BinaryDecoder, ChunkDecoder, DataDecoder
from gateway.protocols.smtp.incoming import OVERSIZE_FACTOR, Chunk, Incoming
from gateway.protocols.smtp.order import Order, State
from gateway.protocols.smtp.received import Received
from gateway.protocols.smtp.terms import Terms


class Mails:
    """At most one at a time is on its way in."""

    def __init__(
        self,
        config: SessionConfig,
        terms: Terms,
        order: Order,
        received: Received,
        conversation: Conversation,
    ) -> None:
        self._config, self._terms, self._order = config, terms, order
        self._received, self._conversation = received, conversation
        self._incoming: Incoming | None = None
        self._chunk: Chunk | None = None
        # A MAIL or a BDAT was refused: what a pipelining client sent behind it is refused and no bad command.
        self.is_behind_refusal = False

    def reset(self) -> None:
        """Give up the mail that is on its way, if any (RFC 5321 §4.1.1.5)."""
        if self._order.state is State.CHUNKS and not self._now().is_too_large:
            self._conversation.do(effects.MessageDropped())
        self.forget()
        self.is_behind_refusal = False
        if self._order.state is not State.CONNECTED:
            self._order.state = State.GREETED

    def forget(self) -> None:
        self._incoming = self._chunk = None

    # --- the envelope -----------------------------------------------------------------------------

    def begin(self, mail: Mail) -> None:
        self._order.on_yes(mail)
        self.is_behind_refusal = False
        refusal = self._terms.refusal_of_mail(mail)
        if refusal is not None:
            self._conversation.say(refusal)
            self.is_behind_refusal = True
            return
        self._incoming = self._terms.granted(mail)
        self._conversation.ask(Awaited.SENDER, effects.CheckSender(mail.mail_from, mail.octets))

    def sender_checked(self, verdict: Reply) -> None:
        if verdict.is_success and self._incoming is not None and self._incoming.has_other_priority:
            verdict = demanding.OTHER_PRIORITY
        if self._conversation.is_told(Awaited.SENDER, verdict):
            self._order.state = State.SENDER if verdict.is_success else State.GREETED
            if not verdict.is_success:
                self._incoming = None
                self.is_behind_refusal = True

    def add(self, rcpt: Rcpt) -> None:
        self._order.on_yes(rcpt)
        incoming = self._now()
        refusal = self._terms.refusal_of_rcpt(rcpt, incoming)
        if refusal is not None:
            self._conversation.say(refusal)
            return
        incoming.asked = rcpt
        mail_from = incoming.mail.mail_from
        asked = effects.CheckRecipient(rcpt.rcpt_to, mail_from, rcpt.rrvs, self._terms.helo)
        self._conversation.ask(Awaited.RECIPIENT, asked)

    def recipient_checked(self, verdict: Reply) -> None:
        if self._conversation.is_told(Awaited.RECIPIENT, verdict):
            incoming = self._now()
            rcpt, incoming.asked = incoming.asked, None
            assert rcpt is not None
            if verdict.is_success:
                incoming.add(rcpt)
                self._order.state = State.RECIPIENTS

    # --- the message --------------------------------------------------------------------------------

    def open(self, data: Data) -> None:
        if self._order.state is State.SENDER:
            self._conversation.say(replies.NO_RECIPIENTS)
            return
        state = self._order.on_yes(data)
        if self._now().mail.body is Body.BINARY:  # RFC 3030 §3
            raise PeerError(replies.BAD_SEQUENCE, "DATA after BODY=BINARYMIME")
        self._order.state = state
        self._conversation.say(replies.SEND_MESSAGE)
        self._begin_message(DataDecoder(self._config.line_octets_max))

    def open_chunk(self, bdat: Bdat) -> None:
        """RFC 3030 §2: what a BDAT announces comes at once, also when the answer is no."""
        if bdat.octets is None:
            self._conversation.say(replies.BAD_ARGUMENTS)  # and what comes next could be taken for commands
            self._conversation.close("BDAT without a size")
            return
        if bdat.octets > OVERSIZE_FACTOR * self._config.message_octets_max:
            self._conversation.say(replies.MESSAGE_TOO_LARGE)
            self._conversation.close("endless chunk")
            return
        refusal = None
        if self._order.state is State.SENDER:
            refusal = replies.NO_RECIPIENTS
        elif (state := self._order.after(bdat)) is None:
            refusal = replies.BAD_SEQUENCE
        else:
            self._order.state = state
            if self._now().decoder is None:
                is_binary = self._now().mail.body is Body.BINARY
                decoder = BinaryDecoder if is_binary else ChunkDecoder
                self._begin_message(decoder(self._config.line_octets_max))
        self._chunk = Chunk(bdat.octets, bdat.is_last, refusal)

    def _begin_message(self, decoder: DataDecoder | ChunkDecoder) -> None:
        incoming, terms = self._now(), self._terms
        incoming.decoder = decoder
        protocol = terms.protocol(is_smtputf8=incoming.mail.is_smtputf8)
        self._conversation.do(effects.MessageBegin(incoming.envelope(), terms.helo, protocol))

    @property
    def takes_octets(self) -> bool:
        """True when what comes next belongs to a message and is no command."""
        return self._chunk is not None or self._order.state is State.CONTENT

    def take_octets(self) -> bool:
        """Take what has come of the message; False when there was nothing to go on with."""
        if self._chunk is not None:
            if self._chunk.left and not self._received:
                return False
            self._take_chunk(self._chunk)
            return True
        if not self._received:
            return False
        self._take_content()
        return True

    def _take_content(self) -> None:
        incoming = self._now()
        decoder = incoming.decoder
        assert isinstance(decoder, DataDecoder), decoder
        self._keep(incoming, decoder.feed(self._received.take()))
        if decoder.is_complete:
            self._received.add(decoder.rest)
            if incoming.is_too_large:
                self.reset()
                self._conversation.say(replies.MESSAGE_TOO_LARGE)
            else:
                self._conclude(incoming)

    def _take_chunk(self, chunk: Chunk) -> None:
        octets = self._received.take(chunk.left)
        chunk.left -= len(octets)
        if chunk.refusal is None:
            incoming = self._now()
            decoder = incoming.decoder
            assert isinstance(decoder, ChunkDecoder), decoder
            self._keep(incoming, decoder.feed(octets))
            if chunk.is_last and not chunk.left:
                decoder.finish()
            if incoming.is_too_large:
                chunk.refusal = replies.MESSAGE_TOO_LARGE
        if not chunk.left:
            self._chunk = None
            self._end_chunk(chunk)

    def _end_chunk(self, chunk: Chunk) -> None:
        if chunk.refusal is replies.BAD_SEQUENCE and not self.is_behind_refusal:
            self._conversation.say_no(chunk.refusal)
        elif chunk.refusal is not None:
            self._conversation.say(chunk.refusal)
            if chunk.refusal is replies.MESSAGE_TOO_LARGE:
                self.reset()
                self.is_behind_refusal = True
        elif chunk.is_last:
            self._order.state = State.CONTENT  # nothing can be given up any more
            self._conclude(self._now())
        else:
            self._conversation.say(replies.CHUNK_TAKEN)

    def _keep(self, incoming: Incoming, message: bytes) -> None:
        effect = incoming.take(message, self._config.message_octets_max)
        if effect is not None:
            self._conversation.do(effect)

    def _conclude(self, incoming: Incoming) -> None:
        self._conversation.ask(Awaited.CONCLUSION, effects.MessageEnd(incoming.message_octets))

    def concluded(self, verdict: Reply) -> None:
        if self._conversation.is_told(Awaited.CONCLUSION, verdict):
            self.reset()
            if verdict.is_success:
                self._conversation.forgive()

    def _now(self) -> Incoming:
        assert self._incoming is not None, self._order.state
        return self._incoming
