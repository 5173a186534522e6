"""A provider's trial that asks nobody."""

from tollway.app.ports_probe import ProbeReport

ANSWERED = ProbeReport(True, 200, "The provider answered.")


class FakeProbe:
    """Implements `app.ports_probe.ProviderProbe`: remembers what it was asked, reports as told."""

    def __init__(self, report=ANSWERED):
        self.report = report
        self.asked = []

    def probe(self, provider, credential):
        """The report it was made with."""
        self.asked.append((provider, credential))
        return self.report
