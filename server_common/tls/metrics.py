"""When a process's certificate ends, and whether its renewal is refused, for the person on call."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from server_common.tls.certificate import ServerCertificate


class CertificateMetrics(Collector):
    """The numbers of a certificate; a process without one has none.

    Args:
        certificate: what the process shows at its port.
    """

    def __init__(self, certificate: ServerCertificate) -> None:
        self._certificate = certificate

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """What `collect` gives."""
        return self.collect()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The numbers of this moment."""
        validity = self._certificate.validity
        yield GaugeMetricFamily(
            "yabam_tls_certificate_begins_seconds",
            "From when on the certificate that this process shows at its port is good, Unix time",
            value=validity.begins.timestamp(),
        )
        yield GaugeMetricFamily(
            "yabam_tls_certificate_ends_seconds",
            "When the certificate that this process shows at its port ends, Unix time",
            value=validity.ends.timestamp(),
        )
        yield GaugeMetricFamily(
            "yabam_tls_certificate_refused_state",
            "1 while the files hold a certificate that cannot be used, and the one before is shown",
            value=int(self._certificate.refusal is not None),
        )


def watched(files: tuple[str, str] | None, registry: CollectorRegistry) -> ServerCertificate | None:
    """The certificate of a process's port, with its numbers in this registry.

    Args:
        files: of the chain and of its key; None: the port speaks no TLS.
        registry: the numbers that the process serves.
    """
    if files is None:
        return None
    certificate = ServerCertificate(*files)
    registry.register(CertificateMetrics(certificate))
    return certificate
