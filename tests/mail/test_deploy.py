"""The files by which an operator runs this, as far as they can be checked without a Docker engine."""

import re
import shutil
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest

from demo.dovecot import program as dovecot_program
from deploy.render import RenderError, render
from tests.accounts.http_server import Server, reply
from tests.services.compose import COMPOSE, GIVEN, ROOT, SERVICES
from tests.services.compose import environment_of as environment_in
from tests.services.programs import need

OURS = {"web", "worker", "lookups", "deliveries", "scheduler", "ingress", "migrate", "agent", "migrate-agent"}


def secrets_of(service: str) -> set[str]:
    return {
        item if isinstance(item, str) else item["source"] for item in SERVICES[service].get("secrets", [])
    }


def networks_of(service: str) -> set[str]:
    return set(SERVICES[service]["networks"])


def members_of(network: str) -> set[str]:
    return {service for service in SERVICES if network in networks_of(service)}


def test_the_compose_file_is_tidy_yaml() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "yamllint", "--strict", "docker-compose.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"),
        ("hadolint", "Dockerfile"),
    ],
    ids=["compose schema", "hadolint"],
)
def test_schema_and_linter_find_nothing(command: tuple[str, ...]) -> None:
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_web_and_the_workers_that_seal_reach_the_agent() -> None:
    assert members_of("agent") == {"web", "worker", "lookups", "agent"}
    assert members_of("agent-data") == {"agent", "migrate-agent", "postgres"}
    assert networks_of("agent") == {"agent", "agent-data"}
    for network in ("agent", "agent-data", "data", "mailbox", "mta", "signing"):
        assert COMPOSE["networks"][network]["internal"] is True
    assert members_of("edge") == {"web", "worker", "lookups", "deliveries", "postfix"}
    assert members_of("mta") == {"deliveries", "ingress", "postfix"}
    assert members_of("signing") == {"postfix", "opendkim"}


def test_fixed_networks_lie_outside_the_one_that_clouds_put_hosts_into() -> None:
    fixed = {
        name: network["ipam"]["config"][0]
        for name, network in COMPOSE["networks"].items()
        if network and "ipam" in network
    }
    assert fixed.keys() == {"edge", "mta"}
    for network in fixed.values():
        assert not ip_network(network["subnet"]).overlaps(ip_network("172.31.0.0/16"))
    assert environment_in("web", GIVEN)["TRUSTED_PROXIES"] == fixed["edge"]["gateway"]
    assert environment_in("postfix", GIVEN)["RELAY_NETWORKS"] == fixed["mta"]["subnet"]


def test_only_the_web_on_loopback_and_mail_are_published() -> None:
    published = {service: SERVICES[service]["ports"] for service in SERVICES if "ports" in SERVICES[service]}
    assert set(published) == {"web", "postfix"}
    assert published["postfix"] == ["25:25"]
    assert all(port.startswith("127.0.0.1:") for port in published["web"])


def test_secrets_go_only_where_they_are_needed() -> None:
    holders = {
        name: {service for service in SERVICES if name in secrets_of(service)} for name in COMPOSE["secrets"]
    }
    assert holders["agent_operator_key"] == {"agent", "migrate-agent"}
    assert holders["agent_database_url"] == {"agent", "migrate-agent"}
    workers = {"worker", "lookups"}
    assert holders["agent_web_token_secret"] == {"agent", "migrate-agent", "web"}
    assert holders["agent_worker_token_secret"] == {"agent", "migrate-agent", *workers}
    assert holders["token_keys"] == {"web", *workers}
    assert holders["oauth_client_key"] == holders["push_key"] == {"web", *workers}
    assert holders["mail_token_key"] == {"web", "ingress", *workers}
    assert holders["smtp_tls_chain"] == {"postfix"}
    assert holders["dkim_key"] == {"opendkim"}
    assert holders["dkim_selector"] == {"opendkim", "web"}
    assert holders["dkim_record"] == {"web"}
    assert all(holders.values()), "a secret that nobody uses"
    used = set().union(*(secrets_of(service) for service in SERVICES))
    assert used == set(COMPOSE["secrets"])


@pytest.mark.parametrize("service", SERVICES)
def test_every_container_is_held_down(service: str) -> None:
    definition = SERVICES[service]
    assert definition["read_only"] is True
    assert definition["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in definition["security_opt"]
    assert "privileged" not in definition
    assert "healthcheck" in definition or service.startswith("migrate")
    allowed = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"}
    assert set(definition.get("cap_add", [])) <= allowed
    if service in OURS | {"dovecot", "opendkim", "redis"}:
        assert "cap_add" not in definition
    for key, value in definition.get("environment", {}).items():
        secret = re.search(r"SECRET|PASSWORD|TOKEN_KEYS", key) and not key.endswith("_FILE")
        assert not secret or value in ("", "none"), f"{service} has {key} in its environment"


def test_the_agents_health_is_what_it_says_itself() -> None:
    (*_shell, script) = SERVICES["agent"]["healthcheck"]["test"]
    with Server(lambda handler: reply(handler, 200 if handler.path == "/healthz" else 404, b"{}")) as agent:
        asked = script.replace("127.0.0.1:8700", agent.url.removeprefix("http://"))
        assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
        agent.answer = lambda handler: reply(handler, 503, b'{"state": "no-database"}')
        assert subprocess.run([sys.executable, "-c", asked], capture_output=True, check=False).returncode != 0
    assert agent.requests == 2


def test_files_lie_where_the_processes_that_need_them_find_them() -> None:
    for service in ("web", "worker"):
        assert "files:/var/lib/waxwing/files" in SERVICES[service]["volumes"]
        for name in ("WAXWING_BLOB_DIR", "WAXWING_SPOOL_DIR"):
            assert SERVICES[service]["environment"][name].startswith("/var/lib/waxwing/files/")
    assert SERVICES["agent"]["volumes"] == ["agent-files:/var/lib/waxwing-agent"]
    assert SERVICES["agent"]["environment"]["WAXWING_AGENT_DATA_DIR"] == "/var/lib/waxwing-agent"
    made = (ROOT / "Dockerfile").read_text()
    assert all(path in made for path in ("/var/lib/waxwing/files", "/var/lib/waxwing-agent"))


def test_every_network_path_that_a_setting_names_exists() -> None:
    for service in OURS - {"agent", "migrate-agent"}:
        for key, value in SERVICES[service]["environment"].items():
            host = re.fullmatch(r"(?:imap|http|smtp)://([a-z-]+):\d+", str(value))
            if host and service in ("web", "worker", "lookups"):
                assert networks_of(service) & networks_of(host[1]) or (service, host[1]) == (
                    "web",
                    "postfix",
                ), key


def test_the_script_makes_every_secret_and_keeps_them(tmp_path: Path) -> None:
    for _ in range(2):
        done = subprocess.run(
            [ROOT / "deploy" / "make-secrets", "mx.test", tmp_path / "secrets"],
            capture_output=True,
            check=True,
        )
        assert done.stderr == b""
        files = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
        assert set(files) == set(COMPOSE["secrets"])
        if _ == 0:
            before = files
    assert files == before
    assert all(files.values())
    assert b"\n" not in files["secret_key"] + files["web_database_url"] + files["redis_url"]
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_a_filled_folder_needs_no_host(tmp_path: Path) -> None:
    updating = (ROOT / "deploy" / "README.md").read_text().partition("## Updating\n")[2]
    (line,) = re.findall(r"^deploy/make-secrets.*$", updating.partition("\n## ")[0], re.M)
    program, *arguments = line.split()
    script, secrets = [ROOT / program, *arguments], tmp_path / "secrets"
    empty = subprocess.run(script, cwd=tmp_path, capture_output=True, check=False)
    assert (empty.returncode, secrets.exists()) == (2, False)
    assert b"MAIL_HOST" in empty.stderr
    subprocess.run([ROOT / program, "mx.test"], cwd=tmp_path, check=True)
    chain = (secrets / "smtp_tls_chain").read_bytes()
    for name in ("mail_token_key", "dkim_key"):
        former = (secrets / name).read_bytes()
        (secrets / name).unlink()
        subprocess.run(script, cwd=tmp_path, check=True)
        assert (secrets / name).read_bytes() not in (b"", former)
    assert (secrets / "smtp_tls_chain").read_bytes() == chain


def test_the_script_leaves_no_empty_secret_when_a_program_is_missing(tmp_path: Path) -> None:
    programs, secrets = tmp_path / "programs", tmp_path / "secrets"
    programs.mkdir()
    for name in ("sh", "mkdir", "chmod", "tr", "mv", "cat", "rm", "date"):
        (programs / name).symlink_to(shutil.which(name) or name)
    script = [ROOT / "deploy" / "make-secrets", "mx.test", secrets]
    without = subprocess.run(script, capture_output=True, check=False, env={"PATH": str(programs)})
    assert without.returncode != 0
    assert b"openssl" in without.stderr
    assert all(path.read_bytes() for path in secrets.iterdir())
    subprocess.run(script, check=True)
    assert {path.name for path in secrets.iterdir() if path.read_bytes()} == set(COMPOSE["secrets"])


def test_every_file_that_the_images_copy_is_there() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M):
        for source in sources.split():
            assert (ROOT / source).exists(), source
            assert any(source == each or source.startswith(f"{each}/") for each in allowed), source
    for start in ("app", "dovecot", "opendkim", "postfix"):
        assert (ROOT / "deploy" / start / "start").stat().st_mode & 0o111


def environment_of(start: str) -> dict[str, str]:
    """What a start script exports, under the environment that docker-compose.yml gives its container."""
    script = (ROOT / "deploy" / start / "start").read_text()
    head = script[: script.index("\nmkdir")]
    given = {**GIVEN, "MAIL_HOST": "mx.test", "MAIL_DOMAIN": "mail.test"}
    done = subprocess.run(
        ["sh", "-c", f"{head}\nenv -0"],
        capture_output=True,
        check=True,
        env={**environment_in(start, given), "PATH": "/usr/bin:/bin"},
    )
    return dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line)


def test_dovecot_reads_the_containers_configuration(tmp_path: Path) -> None:
    need("Dovecot")
    values = environment_of("dovecot") | {"CONFIG_DIR": str(tmp_path)}
    # The user of the container is not on this machine.
    values |= {"DOVECOT_USER": "nobody", "DOVECOT_GROUP": "nogroup"}
    for name in ("dovecot.conf", "oauth2.conf"):
        (tmp_path / name).write_text(render((ROOT / "deploy" / "dovecot" / name).read_text(), values))
    done = subprocess.run(
        [str(dovecot_program()), "-n", "-c", tmp_path / "dovecot.conf"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "port = 1143" in done.stdout
    assert not re.search(r"(?i)error|fatal|obsolete", done.stderr), done.stderr


def test_postfix_reads_the_containers_configuration(tmp_path: Path) -> None:
    need("Postfix")
    values = environment_of("postfix") | {"CONFIG_DIR": str(tmp_path)}
    for name in ("main.cf", "master.cf", "outgoing_headers", "postmaster"):
        (tmp_path / name).write_text(render((ROOT / "deploy" / "postfix" / name).read_text(), values))
    assert "/^postmaster@(mail[.]test|mx[.]test)$/ " in (tmp_path / "postmaster").read_text()
    postconf = shutil.which("postconf", path="/usr/sbin:/usr/bin") or "postconf"
    done = subprocess.run([postconf, "-c", tmp_path, "-x", "-n"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "virtual_mailbox_domains = mail.test, mx.test" in done.stdout
    assert "smtpd_tls_security_level = may" in done.stdout
    limits = dict(line.split(" = ", 1) for line in done.stdout.splitlines() if line.count(" = "))
    assert limits["queue_minfree"] == "2000000000"
    assert limits["smtpd_client_connection_rate_limit"] == "120"
    assert limits["smtpd_client_message_rate_limit"] == "300"
    assert limits["smtpd_client_recipient_rate_limit"] == "1000"
    services = subprocess.run([postconf, "-c", tmp_path, "-M"], capture_output=True, text=True, check=True)
    assert services.stderr == ""
    assert "mynetworks=172.30.25.0/24" in services.stdout
    assert services.stdout.count("smtpd_milters=inet:opendkim:8891") == 1


@pytest.mark.parametrize("value", ["a\nb", "a;b", "a{b", 'a"b', "a\0b"])
def test_a_value_can_mean_no_more_than_itself(value: str) -> None:
    with pytest.raises(RenderError):
        render("x = ${NAME}", {"NAME": value})


def test_a_placeholder_without_a_value_is_named() -> None:
    with pytest.raises(RenderError, match="NAME"):
        render("x = ${NAME} ${name}", {})
    assert render("$a ${b} $(c) ${NAME}", {"NAME": "$OTHER"}) == "$a ${b} $(c) $OTHER"
