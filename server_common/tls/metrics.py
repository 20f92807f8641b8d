"""Metrics of a process's certificates: their validity, and refused renewals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from server_common.tls.certificate import ServerCertificate
from server_common.tls.validity import Validity


class CertificateMetrics(Collector):
    """The numbers of a process's certificates; without certificates there are none.

    Args:
        certificate: what the process shows at its port; None: it speaks no TLS there.
        kafka: the file of the chain that it shows to Kafka; empty: it shows none.
    """

    def __init__(self, certificate: ServerCertificate | None, kafka: str) -> None:
        self._certificate = certificate
        self._kafka = kafka

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """What `collect` gives."""
        return self.collect()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The numbers of this moment."""
        begins = GaugeMetricFamily(
            "yabam_tls_certificate_begins_seconds",
            "Start of the validity of a certificate of this process, in Unix time",
            labels=["shown"],
        )
        ends = GaugeMetricFamily(
            "yabam_tls_certificate_ends_seconds",
            "End of the validity of a certificate of this process, in Unix time",
            labels=["shown"],
        )
        for shown, validity in self._validities():
            begins.add_metric([shown], validity.begins.timestamp())
            ends.add_metric([shown], validity.ends.timestamp())
        yield begins
        yield ends
        if self._certificate is not None:
            yield GaugeMetricFamily(
                "yabam_tls_certificate_refused_state",
                "1 while the port's files are invalid, and the previous certificate is used",
                value=int(self._certificate.refusal is not None),
            )

    def _validities(self) -> Iterator[tuple[str, Validity]]:
        if self._certificate is not None:
            yield "port", self._certificate.validity
        if self._kafka:
            try:
                yield "kafka", Validity.of_chain(Path(self._kafka).read_bytes())
            except (OSError, ValueError):
                return  # the next connection to Kafka says why


def watched(
    files: tuple[str, str] | None, registry: CollectorRegistry, kafka: str = ""
) -> ServerCertificate | None:
    """The certificate of a process's port, with its numbers in this registry.

    Args:
        files: of the chain and of its key; None: the port speaks no TLS.
        registry: the numbers that the process serves.
        kafka: the file of the chain that the process shows to Kafka; empty: it shows none.
    """
    certificate = None if files is None else ServerCertificate(*files)
    if certificate is not None or kafka:
        registry.register(CertificateMetrics(certificate, kafka))
    return certificate
