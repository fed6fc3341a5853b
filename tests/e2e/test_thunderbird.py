"""Acceptance 2 of 4/9: Thunderbird, without a window, finds its settings by an address alone, reads, marks,
moves, sends a Thai mail and files the copy.

It looks for `autoconfig.opm.go.th` at port 80, which nobody resolves here: it is told of a proxy that brings
such requests to the gateway. Everything else it does by itself.
"""

import http.server
import imaplib
import smtplib
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.load import host_and_port
from tests.e2e.marionette import Thunderbird, thunderbird
from tests.e2e.messages import new_message_id, thai_message

HOSTNAME = "mail.saraban.example"  # in the certificate
PASSWORD = "for-tests-alone"
ADDRESS, OTHER = "thunderbird@opm.go.th", "malee@opdc.go.th"
SUBJECT, TEXT = "ส่งจากธันเดอร์เบิร์ด", "เรียน คุณมาลี วันจันทร์ ๙ นาฬิกา"
# No dialogs, nothing from the Internet.
QUIET = {
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
}

# What each script begins with.
HELP = """
    const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
    const account = MailServices.accounts.defaultAccount, server = account?.incomingServer;
    const flagged = name => server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags[name]);
    const ended = (resolve, reject) => code => code ? reject(new Error(`it failed: ${code}`)) : resolve();
    const url = begin => new Promise((resolve, reject) => begin({
        QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
        OnStartRunningUrl() {},
        OnStopRunningUrl(uri, code) { ended(resolve, reject)(code); },
    }));
    const copy = begin => new Promise((resolve, reject) => begin({
        QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
        onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; },
        onStopCopy: ended(resolve, reject),
    }));
    const update = folder => url(listener => folder.getNewMessages(null, listener));
    const only = folder => { const [found, ...more] = [...folder.messages];
        if (!found || more.length) throw new Error(`${folder.name} has ${more.length + !!found} messages`);
        return found; };
"""
TRUST = """
    const [certificate, host] = arguments;
    Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB)
        .addCertFromBase64(certificate, "CT,C,C");
    Cc["@mozilla.org/network/native-dns-override;1"].getService(Ci.nsINativeDNSResolverOverride)
        .addIPOverride(host, "127.0.0.1");
"""
SET_UP = """
    const load = name => ChromeUtils.importESModule(`resource:///modules/accountcreation/${name}.sys.mjs`)[name];
    const [FetchConfig, AccountConfig, CreateInBackend] =
        ["FetchConfig", "AccountConfig", "CreateInBackend"].map(load);
    const [address, password] = arguments;
    const config = await FetchConfig.fromISP(address.split("@")[1], address, new AbortController().signal);
    AccountConfig.replaceVariables(config, "สมชาย ใจดี", address, password);
    config.incoming.password = config.outgoing.password = password;
    config.rememberPassword = true;
    await CreateInBackend.createAccountInBackend(config);
    return [config.incoming, config.outgoing].map(
        one => [one.type, one.hostname, one.port, one.socketType, one.username]);
"""
DISCOVER = """
    await url(listener => MailServices.imap.discoverAllFolders(server.rootFolder, listener, null));
    return Object.fromEntries(["Inbox", "SentMail", "Archive", "Drafts", "Trash", "Junk"].map(
        name => [name, flagged(name)?.name]));
"""
READ = """
    const inbox = flagged("Inbox");
    await update(inbox);
    const found = only(inbox), uri = inbox.getUriForMsg(found);
    const stream = Cc["@mozilla.org/network/sync-stream-listener;1"].createInstance(Ci.nsISyncStreamListener);
    MailServices.messageServiceFromURI(uri).streamMessage(uri, stream, null, null, false, "");
    const read = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
    read.init(stream);
    let octets = 0;
    while (read.available()) octets += read.read(read.available()).length;
    return [found.mime2DecodedSubject, octets];
"""
MARK_AND_MOVE = """
    const inbox = flagged("Inbox"), found = only(inbox);
    inbox.markMessagesRead([found], true);
    inbox.markMessagesFlagged([found], true);
    await copy(listener => MailServices.copy.copyMessages(
        inbox, [found], flagged("Archive"), true, listener, null, false));
    await update(flagged("Archive"));
    return only(flagged("Archive")).mime2DecodedSubject;
"""
SEND = """
    const [to, subject, text] = arguments, identity = account.defaultIdentity;
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    Object.assign(fields, { from: identity.fullAddress, to, subject, fcc: flagged("SentMail").URI });
    const stop = await new Promise(resolve => {
        Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend).createAndSendMessage(
            null, identity, account.key, fields, false, false, Ci.nsIMsgSend.nsMsgDeliverNow, null,
            "text/plain", text, null, null, {
                QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener", "nsIMsgCopyServiceListener"]),
                onStartSending() {}, onSendProgress() {}, onStatus() {}, onGetDraftFolderURI() {},
                onSendNotPerformed() { resolve("it was not sent"); },
                onTransportSecurityError() { resolve("TLS failed"); },
                onStopSending(id, code) { if (code) resolve(`sending failed: ${code}`); },
                onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; },
                onStopCopy(code) { resolve(code ? `filing failed: ${code}` : "sent and filed"); },
            }, "", null, Ci.nsIMsgCompType.New);
    });
    return stop;
"""


class ToTheGateway(http.server.BaseHTTPRequestHandler):
    """What a proxy is asked for, fetched from the gateway. target: host:port."""

    def __init__(self, target: str, *given: Any) -> None:
        self._target = target
        super().__init__(*given)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = urllib.request.Request(
            f"http://{self._target}{url.path}?{url.query}", headers={"Host": url.netloc}
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                status, octets = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, octets = error.code, error.read()
            error.close()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)
        except OSError:  # it asks at several places at once, and the first answer is enough
            return

    def log_message(self, *given: Any) -> None:
        """Not on the terminal."""


@contextmanager
def proxy_to(target: str) -> Iterator[int]:
    """A proxy's port on loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(ToTheGateway, target)) as proxy:
        serving = threading.Thread(target=proxy.serve_forever)
        serving.start()
        try:
            yield proxy.server_port
        finally:
            proxy.shutdown()
            serving.join()


@pytest.fixture
def client(gateway: Gateway, tmp_path: Path) -> Iterator[Thunderbird]:
    """A Thunderbird that trusts the gateway's authority and has no account."""
    with proxy_to(gateway.address("http")) as port:
        proxied = {
            "network.proxy.type": 1,
            "network.proxy.http": "127.0.0.1",
            "network.proxy.http_port": port,
        }
        with thunderbird(tmp_path / "profile", QUIET | proxied) as running:
            authority = Path(gateway.ready["ca_file"]).read_text()
            lines = [line for line in authority.splitlines() if "CERTIFICATE" not in line]
            running.run(TRUST, "".join(lines), HOSTNAME)
            yield running


def sends(gateway: Gateway, message: bytes) -> bool:
    with smtplib.SMTP(*host_and_port(gateway.address("smtp")), local_hostname="client.example") as smtp:
        return not smtp.sendmail("ann@example.org", [ADDRESS], message)


def test_thunderbird_finds_its_settings_reads_marks_moves_and_sends(
    gateway: Gateway, client: Thunderbird
) -> None:
    gateway.cli("account", "add", ADDRESS, "--name", "สมชาย ใจดี", "--password", PASSWORD)
    message = thai_message(new_message_id(), to=[ADDRESS], attachment=b"x" * 100_000)
    gateway.wait(partial(sends, gateway, message), "the edge knows the account")
    gateway.wait(lambda: len(gateway.found("mailbox", "list", ADDRESS)) == 1, "it is delivered")

    implicit = 3  # nsMsgSocketType.SSL
    imaps, submissions = (host_and_port(gateway.address(name))[1] for name in ("imaps", "submissions"))
    assert client.run(SET_UP, ADDRESS, PASSWORD) == [
        ["imap", HOSTNAME, imaps, implicit, ADDRESS],
        ["smtp", HOSTNAME, submissions, implicit, ADDRESS],
    ]
    folders = client.run(HELP + DISCOVER)
    assert folders == {
        "Inbox": "INBOX",
        "SentMail": "ส่งแล้ว",
        "Archive": "เก็บถาวร",
        "Drafts": "ฉบับร่าง",
        "Trash": "ถังขยะ",
        "Junk": "จดหมายขยะ",
    }
    subject, octets = client.run(HELP + READ)
    assert subject == message_from_bytes(message, policy=policy.default)["Subject"]
    assert octets > 100_000
    assert client.run(HELP + MARK_AND_MOVE) == subject
    assert client.run(HELP + SEND, OTHER, SUBJECT, TEXT) == "sent and filed"

    trust = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    trust.check_hostname = False  # it is asked for by its address
    with imaplib.IMAP4_SSL("127.0.0.1", imaps, ssl_context=trust) as other:
        other.login(ADDRESS, PASSWORD)
        other.enable("UTF8=ACCEPT")
        assert other.select("INBOX")[1] == [b"0"]
        assert other.select(f'"{folders["Archive"]}"')[1] == [b"1"]
        (flags,) = other.fetch("1", "(FLAGS)")[1]
        assert {b"\\Seen", b"\\Flagged"} <= set(imaplib.ParseFlags(flags))
        assert other.select(f'"{folders["SentMail"]}"')[1] == [b"1"]
        filed = message_from_bytes(other.fetch("1", "(BODY.PEEK[])")[1][0][1], policy=policy.default)
    assert filed["Subject"] == SUBJECT
    gateway.wait(
        lambda: SUBJECT in [row["subject"] for row in gateway.found("mailbox", "list", OTHER)],
        "the other has the mail",
    )
    account_id = gateway.cli("account", "show", ADDRESS)["account_id"]
    reads = [event["event"] for event in gateway.events("message.read/1")]
    assert any(event["account_id"] == account_id and event["how"] == "fetch" for event in reads)
