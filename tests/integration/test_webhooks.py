"""Webhooks: what is told, how it is signed and sent, where it may lead; against a real server of this machine."""

import ipaddress
import json
import re
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.utils import timezone

from annotation.audit.models import AuditEvent
from annotation.comparisons.models import Batch, Comparison, Judgment
from annotation.core.errors import Conflict, InvalidInput
from annotation.projects.models import Role
from annotation.quality.models import AgreementReport
from annotation.quality.services import refresh_agreement
from annotation.webhooks import addresses, sending
from annotation.webhooks.models import ATTEMPTS, Delivery, Event, Webhook
from annotation.webhooks.services import collecting, delivering, keeping
from annotation.webhooks.signing import secret_of
from tests import factories

pytestmark = pytest.mark.django_db


class Receiver(HTTPServer):
    """A server that answers as it is told and keeps what it got."""

    codes: list[int]
    got: list[tuple[dict[str, str], bytes]]

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_port}/hook?x=1"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers) | {"path": self.path}, body))
        code = self.server.codes.pop(0) if self.server.codes else 200
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(b"answer " * 2_000)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    settings.CONCORD_WEBHOOK_TEST_NETWORKS = ("127.0.0.0/8", "::1/128")
    server = Receiver(("127.0.0.1", 0), Handler)
    server.codes, server.got = [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _only_this_machine(monkeypatch):
    """localhost is 127.0.0.1 here, whatever the machine's name service says."""
    found = addresses.socket.getaddrinfo

    def resolve(host, *wanted, **kinds):
        return found("127.0.0.1" if host == "localhost" else host, *wanted, **kinds)

    monkeypatch.setattr(addresses.socket, "getaddrinfo", resolve)


def added(receiver, *events, **facts):
    project = factories.project()
    admin = factories.member(project, Role.ADMIN)
    return keeping.add_webhook(
        project=project, url=receiver.url, events=events or Event.values, actor=admin, **facts
    )


def delivery_to(webhook, **facts) -> Delivery:
    defaults = {"event": Event.SNAPSHOT, "key": "snapshot:1", "payload": {"id": 1}}
    return Delivery.objects.create(webhook=webhook, **{**defaults, **facts})


def deliver(delivery):
    answer = delivering.deliver(delivery_id=delivery.pk, owner="test")
    delivery.refresh_from_db()
    return answer


def guide_snippet():
    text = (Path(__file__).parents[2] / "docs/guide/webhooks.md").read_text()
    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)  # noqa: S102 - our own guide
    return names["is_from_concord"]


def test_a_delivery_is_signed_so_that_the_snippet_of_the_guide_knows_it(receiver):
    new = added(receiver)
    delivery = delivery_to(new.webhook)
    assert deliver(delivery).is_taken
    (headers, body) = receiver.got[0]
    is_from_concord = guide_snippet()
    assert is_from_concord(new.secret, headers["Concord-Signature"], body)
    assert not is_from_concord(new.secret, headers["Concord-Signature"], body + b" ")
    assert not is_from_concord("whsec_other", headers["Concord-Signature"], body)
    told = json.loads(body)
    assert (told["event"], told["data"], told["id"]) == (
        "snapshot.built",
        {"id": 1},
        str(delivery.uuid),
    )
    assert headers["path"] == "/hook?x=1"
    assert headers["Host"] == f"localhost:{receiver.server_port}"
    assert (delivery.status, delivery.response_code) == ("done", 200)
    assert len(delivery.response_text) == 500


def test_a_rotated_secret_signs_beside_the_one_before_for_a_day(receiver):
    old = added(receiver)
    new = keeping.rotate_secret(webhook=old.webhook, actor=old.webhook.created_by)
    deliver(delivery_to(new.webhook))
    headers, body = receiver.got[0]
    is_from_concord = guide_snippet()
    assert old.secret != new.secret
    assert is_from_concord(old.secret, headers["Concord-Signature"], body)
    assert is_from_concord(new.secret, headers["Concord-Signature"], body)
    Webhook.objects.update(rotated_at=timezone.now() - timedelta(days=1, seconds=1))
    deliver(delivery_to(new.webhook, key="snapshot:2"))
    headers, body = receiver.got[1]
    assert not is_from_concord(old.secret, headers["Concord-Signature"], body)


def test_the_secret_is_nowhere_in_the_database(receiver):
    new = added(receiver)
    row = str(Webhook.objects.values().get(pk=new.webhook.pk))
    assert new.secret not in row
    assert secret_of(new.webhook.salt) == new.secret


def test_a_refused_delivery_is_sent_again_later_each_time_and_fails_in_the_end(receiver):
    receiver.codes = [500] * ATTEMPTS
    delivery = delivery_to(added(receiver).webhook)
    waits = []
    for _ in range(ATTEMPTS):
        deliver(delivery)
        waits.append(round((delivery.next_attempt_at - timezone.now()).total_seconds(), -1))
        assert deliver(delivery) is None  # not its turn yet
        Delivery.objects.filter(pk=delivery.pk).update(next_attempt_at=timezone.now())
    assert waits[:-1] == list(delivering.WAITS)
    assert (delivery.status, delivery.attempt, delivery.response_code) == ("failed", 8, 500)
    assert len(receiver.got) == ATTEMPTS


def test_a_failed_delivery_can_be_sent_again(receiver):
    new = added(receiver)
    delivery = delivery_to(new.webhook, status="failed", attempt=ATTEMPTS)
    keeping.redeliver(delivery=delivery, actor=new.webhook.created_by)
    assert deliver(delivery).is_taken
    Delivery.objects.update(status="queued")
    with pytest.raises(Conflict, match="on its way"):
        keeping.redeliver(delivery=delivery, actor=new.webhook.created_by)


def test_redirects_are_not_followed(receiver):
    receiver.codes = [302]
    delivery = delivery_to(added(receiver).webhook)
    deliver(delivery)
    assert len(receiver.got) == 1
    assert "redirects are not followed" in delivery.error


def test_a_receiver_that_drips_is_cut_off(monkeypatch, receiver):
    monkeypatch.setattr(sending, "SECONDS", 0.3)
    is_over = threading.Event()

    def drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not is_over.wait(0.05):
            try:
                self.wfile.write(b".")
            except OSError:
                return

    monkeypatch.setattr(Handler, "do_POST", drip)
    started = time.monotonic()
    answer = deliver(delivery_to(added(receiver).webhook))
    is_over.set()
    assert time.monotonic() - started < 3
    assert answer.code in {None, 200}


def test_nothing_answers_is_a_reason_not_a_crash(receiver):
    new = added(receiver)
    Webhook.objects.update(url="http://localhost:9/")
    answer = deliver(delivery_to(new.webhook))
    told = "Nothing listens at localhost:9: the connection was refused."
    assert (answer.code, answer.text) == (None, told)


@pytest.mark.parametrize(
    "header", ["", "t", "t=", "v1=00", "t=x,v1=00", "t=1,v1=00", "t=²,v1=00", "t={now},v1=é", ",,"]
)
def test_the_snippet_of_the_guide_refuses_what_is_no_signature(header):
    assert not guide_snippet()("whsec_a", header.format(now=int(time.time())), b"{}")


def certificate(folder: Path, name: str, *, days: int = 1) -> ssl.SSLContext:
    """A server's side of TLS with a self-signed certificate of this name; the file is ``folder / "one.pem"``."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = timezone.now()
    made = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=9))
    made = made.not_valid_after(now + timedelta(days=days))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    private = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, encryption_algorithm=NoEncryption()
    )
    signed = made.sign(key, hashes.SHA256())
    (folder / "one.pem").write_bytes(signed.public_bytes(Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "one.pem")
    return context


def delivered_by_tls(receiver, context):
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    new = added(receiver)
    Webhook.objects.update(url=receiver.url.replace("http:", "https:"))
    return deliver(delivery_to(new.webhook))


def test_a_self_signed_certificate_is_refused_with_what_to_mend(receiver, tmp_path):
    answer = delivered_by_tls(receiver, certificate(tmp_path, "localhost"))
    assert "The certificate of localhost is not trusted (self-signed certificate)." in answer.text
    assert "SSL_CERT_FILE" in answer.text
    assert receiver.got == []


def test_an_authority_of_ones_own_is_trusted_where_the_worker_names_it(
    receiver, tmp_path, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "one.pem"))
    assert delivered_by_tls(receiver, certificate(tmp_path, "localhost")).code == 200


@pytest.mark.parametrize(
    ("name", "days", "told"),
    [
        ("elsewhere.example", 1, "The certificate of the receiver is not one of localhost: Host"),
        ("localhost", -1, "The certificate of localhost is out of date (certificate has expired)"),
    ],
)
def test_a_wrong_certificate_is_told_apart(receiver, tmp_path, monkeypatch, name, days, told):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "one.pem"))
    assert told in delivered_by_tls(receiver, certificate(tmp_path, name, days=days)).text
    assert receiver.got == []


def test_a_receiver_that_speaks_no_tls_is_told_so(receiver):
    new = added(receiver)
    Webhook.objects.update(url=receiver.url.replace("http:", "https:"))
    told = f"No encrypted connection to localhost:{receiver.server_port} (wrong version number)."
    assert told in deliver(delivery_to(new.webhook)).text


@pytest.mark.parametrize(
    ("said", "told"), [(b"", "hung up without an answer."), (b"SSH-2.0\r\n\r\n", "is not HTTP.")]
)
def test_an_answer_that_is_none_is_told_in_a_sentence(monkeypatch, receiver, said, told):
    monkeypatch.setattr(Handler, "do_POST", lambda self: self.wfile.write(said))
    assert told in deliver(delivery_to(added(receiver).webhook)).text


PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::a01:203",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:0:0:0:0:80ff:fffe",
]


@pytest.mark.parametrize("ip", PRIVATE)
def test_an_address_of_this_network_is_refused(ip):
    assert not addresses.is_public(ipaddress.ip_address(ip))


@pytest.mark.parametrize(
    "ip", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_an_address_of_the_open_internet_is_taken(ip):
    assert addresses.is_public(ipaddress.ip_address(ip))


BAD_URLS = {
    "https://127.0.0.1/": "open internet",
    "https://2130706433/": "open internet",
    "https://0x7f.1/": "open internet",
    "https://[::ffff:10.0.0.1]/": "open internet",
    "http://1.1.1.1/": "https://",
    "ftp://1.1.1.1/": "https://",
    "https://user:word@1.1.1.1/": "name and password",
    "https://1.1.1.1:99999/": "no address",
    "https:///x": "https://",
    "https://1.1.1.1/\nHost: x": "plain ASCII",
    "https://1.1.1.1/" + "x" * 500: "longer",
}


@pytest.mark.parametrize("url", BAD_URLS)
def test_an_address_is_refused_with_its_reason(url):
    with pytest.raises(InvalidInput, match=BAD_URLS[url]):
        addresses.target_of(url)


def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch):
    answers = [(2, 1, 6, "", ("1.1.1.1", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_a, **_k: answers)
    with pytest.raises(InvalidInput, match="leads to 10"):
        addresses.target_of("https://example.org/")


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch, receiver):
    """The name resolves once; were it resolved again for the connection, it would lead to nothing."""
    target = addresses.target_of(receiver.url)
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_a, **_k: pytest.fail("again"))
    monkeypatch.setattr(sending.socket, "create_connection", _by_number_only)
    assert sending.post(target, b"{}", {}).code == 200


def _by_number_only(address, timeout):
    import socket

    ipaddress.ip_address(address[0])
    wire = socket.socket()
    wire.settimeout(timeout)
    wire.connect(address)
    return wire


def test_a_name_that_moved_inside_is_refused_when_it_is_delivered(settings, receiver):
    delivery = delivery_to(added(receiver).webhook)
    settings.CONCORD_WEBHOOK_TEST_NETWORKS = ()
    deliver(delivery)
    assert receiver.got == []
    assert "open internet" in delivery.error


def events_of(webhook) -> dict:
    return {one.event: one.payload for one in collecting.collect(webhook_id=webhook.pk)}


def test_judgments_are_told_together_and_once(receiver, monkeypatch):
    webhook = added(receiver, Event.JUDGMENTS).webhook
    monkeypatch.setattr(collecting, "SETTLE", timedelta(0))
    comparison = factories.comparison(factories.prompt(webhook.project), overlap=9)
    judgments = [factories.judgment(comparison) for _ in range(3)]
    factories.judgment(comparison, is_imported=True)
    told = events_of(webhook)["judgment.submitted"]
    assert [one["id"] for one in told["judgments"]] == [one.pk for one in judgments]
    assert all(one["labeler"].startswith("labeler-") for one in told["judgments"])
    assert events_of(webhook) == {}


def test_a_judgment_that_is_still_settling_is_told_later(receiver):
    webhook = added(receiver, Event.JUDGMENTS).webhook
    factories.judgment(factories.comparison(factories.prompt(webhook.project)))
    assert events_of(webhook) == {}


def test_a_judgment_that_settles_after_one_with_a_higher_number_is_told_too(receiver, monkeypatch):
    webhook = added(receiver, Event.JUDGMENTS).webhook
    rows = [
        factories.judgment(factories.comparison(factories.prompt(webhook.project)))
        for _ in range(3)
    ]
    long_ago = timezone.now() - timedelta(minutes=1)
    Judgment.objects.filter(pk__in=[rows[0].pk, rows[2].pk]).update(created_at=long_ago)
    told = [one["id"] for one in events_of(webhook)["judgment.submitted"]["judgments"]]
    assert told == [rows[0].pk]
    monkeypatch.setattr(collecting, "SETTLE", timedelta(0))
    told = [one["id"] for one in events_of(webhook)["judgment.submitted"]["judgments"]]
    assert told == [rows[1].pk, rows[2].pk]


def test_what_was_there_before_the_webhook_is_not_told(receiver, monkeypatch):
    monkeypatch.setattr(collecting, "SETTLE", timedelta(0))
    project = factories.project()
    factories.judgment(factories.comparison(factories.prompt(project)))
    factories.snapshot(project, finished_at=timezone.now() - timedelta(hours=1))
    new = keeping.add_webhook(
        project=project, url=receiver.url, events=Event.values, actor=factories.user()
    )
    assert events_of(new.webhook) == {}


def test_a_batch_is_told_once_when_none_of_its_comparisons_is_open(receiver):
    webhook = added(receiver, Event.BATCH).webhook
    batch = Batch.objects.create(project=webhook.project, name="First")
    comparison = factories.comparison(factories.prompt(webhook.project), batch=batch)
    factories.judgment(comparison)
    assert events_of(webhook) == {}
    Comparison.objects.update(state="judged")
    assert events_of(webhook)["batch.finished"] == {
        "id": batch.pk,
        "name": "First",
        "comparisons": 1,
    }
    assert events_of(webhook) == {}


@pytest.mark.parametrize(
    ("batch", "left", "is_told"),
    [
        ("open", {"state": "open"}, False),
        ("paused", {"state": "held"}, False),
        ("closed", {"state": "held"}, True),
        ("open", {"state": "open", "kind": "gold"}, True),
    ],
)
def test_a_batch_is_not_finished_while_a_pause_or_anything_but_gold_keeps_some_open(
    receiver, batch, left, is_told
):
    webhook = added(receiver, Event.BATCH).webhook
    row = Batch.objects.create(project=webhook.project, name="First", state=batch)
    prompt = factories.prompt(webhook.project)
    factories.judgment(factories.comparison(prompt, batch=row, state="judged"))
    factories.comparison(prompt, batch=row, **left)
    assert ("batch.finished" in events_of(webhook)) is is_told


def test_snapshots_and_runs_are_told_when_they_are_over(receiver):
    webhook = added(receiver, Event.SNAPSHOT, Event.RUN).webhook
    snapshot = factories.snapshot(webhook.project, finished_at=timezone.now())
    run = factories.training_run(webhook.project, snapshot=snapshot)
    assert set(events_of(webhook)) == {"snapshot.built"}
    type(run).objects.update(status="failed", error="Out of memory.", finished_at=timezone.now())
    told = events_of(webhook)["run.finished"]
    assert (told["status"], told["error"]) == ("failed", "Out of memory.")
    assert events_of(webhook) == {}


def test_agreement_is_told_when_it_falls_below_and_again_only_after_it_had_been_above(receiver):
    webhook = added(receiver, Event.AGREEMENT, alert_below=0.5).webhook
    told = []
    for alpha in (0.6, 0.4, 0.3, 0.7, 0.45):
        AgreementReport.objects.update_or_create(
            project=webhook.project,
            defaults={"data": {"statistics": {"alpha_ordinal": {"value": alpha}}}},
        )
        told += [one["alpha_ordinal"] for one in events_of(webhook).values()]
    assert told == [0.4, 0.45]


def test_the_agreement_that_is_told_is_that_of_the_report_which_the_worker_stores(receiver):
    """Thirty pairs by three labelers, of whom the third says the opposite of the first two: alpha is below zero."""
    webhook = added(receiver, Event.AGREEMENT, alert_below=0.5).webhook
    project = webhook.project
    labelers = [factories.member(project) for _ in range(3)]
    for number in range(30):
        row = factories.comparison(factories.prompt(project), overlap=3)
        a, b = row.candidate_ids if number % 2 else reversed(row.candidate_ids)
        for labeler in labelers:
            ranking = [[b], [a]] if labeler is labelers[2] else [[a], [b]]
            factories.judgment(row, labeler, ranking=ranking, strengths=[3])
    report = refresh_agreement(project=project)
    told = events_of(webhook)["agreement.alert"]
    assert told["judgments"] == report.judgments_counted == 90
    assert told["alpha_ordinal"] == report.data["statistics"]["alpha_ordinal"]["value"] < 0


def test_a_paused_webhook_is_told_nothing_of_meanwhile(receiver, monkeypatch):
    monkeypatch.setattr(collecting, "SETTLE", timedelta(0))
    webhook = added(receiver, Event.JUDGMENTS).webhook
    keeping.set_active(webhook=webhook, is_active=False, actor=webhook.created_by)
    factories.judgment(factories.comparison(factories.prompt(webhook.project)))
    assert events_of(webhook) == {}
    keeping.set_active(webhook=webhook, is_active=True, actor=webhook.created_by)
    assert events_of(webhook) == {}


def paused_while(webhook, happen) -> Webhook:
    """The webhook, paused, and resumed once this has happened."""
    keeping.set_active(webhook=webhook, is_active=False, actor=webhook.created_by)
    happen()
    return keeping.set_active(webhook=webhook, is_active=True, actor=webhook.created_by)


def test_snapshots_and_runs_that_were_over_while_it_was_paused_are_not_told_later(receiver):
    webhook = added(receiver, Event.SNAPSHOT, Event.RUN).webhook
    project = webhook.project

    def happen() -> None:
        snapshot = factories.snapshot(project, finished_at=timezone.now())
        factories.training_run(
            project, snapshot=snapshot, status="done", finished_at=timezone.now()
        )

    paused_while(webhook, happen)
    assert events_of(webhook) == {}
    factories.snapshot(project, finished_at=timezone.now())
    assert set(events_of(webhook)) == {"snapshot.built"}


def test_a_batch_that_was_finished_while_it_was_paused_is_not_told_later(receiver):
    webhook = added(receiver, Event.BATCH).webhook
    batch = Batch.objects.create(project=webhook.project, name="First")
    comparison = factories.comparison(
        factories.prompt(webhook.project), batch=batch, state="judged"
    )
    paused_while(webhook, lambda: factories.judgment(comparison))
    assert events_of(webhook) == {}
    factories.judgment(comparison)
    assert set(events_of(webhook)) == {"batch.finished"}


def reported(project, alpha: float) -> None:
    AgreementReport.objects.update_or_create(
        project=project, defaults={"data": {"statistics": {"alpha_ordinal": {"value": alpha}}}}
    )


def test_agreement_that_fell_while_it_was_paused_is_told_at_its_next_fall(receiver):
    webhook = added(receiver, Event.AGREEMENT, alert_below=0.5).webhook
    paused_while(webhook, lambda: reported(webhook.project, 0.4))
    assert events_of(webhook) == {}
    reported(webhook.project, 0.6)
    assert events_of(webhook) == {}
    reported(webhook.project, 0.3)
    assert set(events_of(webhook)) == {"agreement.alert"}


def test_a_delivery_waits_while_its_webhook_is_paused(receiver):
    webhook = added(receiver).webhook
    delivery = delivery_to(webhook)
    keeping.set_active(webhook=webhook, is_active=False, actor=webhook.created_by)
    assert deliver(delivery) is None
    assert (delivery.status, delivery.attempt, receiver.got) == ("queued", 0, [])
    keeping.set_active(webhook=webhook, is_active=True, actor=webhook.created_by)
    assert deliver(delivery).is_taken


def test_nobody_is_rung_for_the_deliveries_of_a_paused_webhook(receiver, monkeypatch):
    webhook = added(receiver, Event.RUN).webhook
    waiting = delivery_to(webhook, next_attempt_at=timezone.now() - timedelta(minutes=1))
    rung = []
    monkeypatch.setattr(collecting, "ring", lambda _job, pk: rung.append(pk))
    keeping.set_active(webhook=webhook, is_active=False, actor=webhook.created_by)
    collecting.collect_all()
    assert rung == []
    keeping.set_active(webhook=webhook, is_active=True, actor=webhook.created_by)
    collecting.collect_all()
    assert rung == [waiting.pk]


def test_an_admin_adds_rotates_and_removes_a_webhook_on_the_pages(client, receiver):
    project = factories.project()
    client.force_login(factories.member(project, Role.ADMIN))
    base = f"/projects/{project.pk}/settings/webhooks/"
    sent = {"url": receiver.url, "events": ["snapshot.built"], "alert_below": "0.4"}
    page = client.post(base, sent)
    webhook = project.webhooks.get()
    assert secret_of(webhook.salt) in page.content.decode()
    assert "whsec_" not in client.get(base).content.decode()
    delivery = delivery_to(webhook, status="failed", response_code=503, error="It answered 503.")
    page = client.get(f"{base}{webhook.pk}/").content.decode()
    assert "503" in page
    client.post(f"{base}{webhook.pk}/deliveries/{delivery.pk}/again/")
    delivery.refresh_from_db()
    assert delivery.status == "queued"
    assert "whsec_" in client.post(f"{base}{webhook.pk}/rotate/").content.decode()
    client.post(f"{base}{webhook.pk}/state/", {"is_active": "no"})
    assert not project.webhooks.get().is_active
    client.post(f"{base}{webhook.pk}/remove/")
    assert not project.webhooks.exists()
    verbs = set(AuditEvent.objects.filter(project_id=project.pk).values_list("verb", flat=True))
    assert {"webhook.added", "webhook.rotated", "webhook.paused", "webhook.removed"} <= verbs


def test_the_page_says_why_an_address_is_refused(client):
    project = factories.project()
    client.force_login(factories.member(project, Role.ADMIN))
    sent = {"url": "https://127.0.0.1/", "events": ["snapshot.built"], "alert_below": "0.4"}
    page = client.post(f"/projects/{project.pk}/settings/webhooks/", sent)
    assert page.status_code == 400
    assert "open internet" in page.content.decode()


def test_the_api_keeps_webhooks_for_admins(api, receiver):
    project = factories.project()
    api.force_authenticate(factories.member(project, Role.ADMIN))
    url = f"/api/v1/projects/{project.pk}/webhooks/"
    made = api.post(url, {"url": receiver.url, "events": ["run.finished"]}, format="json")
    assert made.status_code == 201
    pk = made.json()["webhook"]["id"]
    assert made.json()["secret"].startswith("whsec_")
    delivery = delivery_to(project.webhooks.get(), status="done", response_code=204)
    rows = api.get(f"{url}{pk}/deliveries/").json()["results"]
    assert [one["response_code"] for one in rows] == [204]
    assert api.post(f"{url}{pk}/deliveries/{delivery.pk}/again/").json()["status"] == "queued"
    assert "secret" in api.post(f"{url}{pk}/secret/").json()
    assert (
        api.patch(f"{url}{pk}/", {"is_active": False}, format="json").json()["is_active"] is False
    )
    assert api.delete(f"{url}{pk}/").status_code == 204
    refused = api.post(url, {"url": "https://10.0.0.1/", "events": ["run.finished"]}, format="json")
    assert "url" in refused.json()["error"]["fields"]
    api.force_authenticate(factories.member(project, Role.ENGINEER))
    assert api.get(url).status_code == 403
