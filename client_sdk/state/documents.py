"""The documents of one channel as Core has them, and their digest. Pure.

If an event or a snapshot does not contain a document's value, the value is computed from the diff
or fetched. Until then the previous value is shown, with its version. A new value may also contain
an own edit whose answer was lost. While that is unknown, the previous value is shown, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from client_sdk.contract.digest import EMPTY, format_content_digest
from client_sdk.contract.errors import StateError
from client_sdk.contract.state.document import Document, DocumentEvent
from client_sdk.contract.state.patch import apply_patch
from client_sdk.contract.state.pointer import MISSING
from client_sdk.contract.state.values import Value, same
from client_sdk.machine.sequencing import DocumentReset


class Documents:
    """The documents of one channel.

    Args:
        kept: the documents stored by the previous run; they are shown until Core has answered.
        epoch: the epoch of the log that `kept` comes from.
    """

    def __init__(self, kept: Iterable[Document] = (), epoch: str | None = None) -> None:
        self.epoch = epoch
        self._newest = {document.key: document for document in kept}
        self._held: dict[str, Document | None] = {}
        """The older documents that are shown in place of the newest known ones, by key."""
        self._hashes: dict[str, int] = {}
        self._check: str | None = None
        self._ahead: dict[str, int] = {}
        """By key, the newest version that was fetched and has not arrived through the log yet."""
        self._is_end_ahead = False
        """Whether a deletion was fetched that may not have arrived through the log yet."""
        self.wanted: dict[str, int | None] = {}
        """The versions to fetch, by key; None: the newest."""
        self.synced = False
        """Whether a snapshot of the channel has been received."""

    def get(self, key: str) -> Document | None:
        """The document as it is shown; None: it is not known here."""
        return self._held[key] if key in self._held else self._newest.get(key)

    def version(self, key: str) -> int:
        """The version that is shown; 0: none."""
        shown = self.get(key)
        return 0 if shown is None else shown.version

    def stands_in(self, key: str) -> bool:
        """Whether an older value, or none, is shown until a version of this log is known."""
        is_awaited = key in self._held or key in self._newest or key in self.wanted
        return self.version(key) == 0 and is_awaited

    def is_gone(self, key: str, version: int) -> bool:
        """Whether the document does not exist, as far as known, and this version was never seen."""
        newest = self._newest.get(key)
        return newest is None or (newest.value is None and newest.version < version)

    @property
    def all(self) -> list[Document]:
        """Every document that is there, as it is shown."""
        shown = (self.get(key) for key in {**self._newest, **self._held})
        return [one for one in shown if one is not None and one.value is not None]

    @property
    def held(self) -> list[str]:
        """The keys for which an older value is shown than the newest known one."""
        return list(self._held)

    def release(self, key: str) -> None:
        """Show the newest known value of the key from now on."""
        self._held.pop(key, None)

    def apply(self, event: DocumentEvent, *, unsure: bool = False, is_one_log: bool = True) -> bool:
        """Apply an event. Returns whether the newest known document has changed.

        Args:
            event: the channel's next event in the log.
            unsure: whether any newer version may contain an own edit. Events name the author of
                each version, so the value is held back only if versions in between are missing.
            is_one_log: whether own edits have the same client id and number in this log; if not,
                the author's name cannot identify them.
        """
        self._check = None
        if event.version >= self._ahead.get(event.key, event.version):
            self._ahead.pop(event.key, None)
        before = self._version(event.key)
        if event.version <= before:
            return False
        document = _document_of(event, event.data)
        if event.data is UNSET:
            made = self._from_diff(event)
            if made is None:
                self.wanted[event.key] = event.version
                return False
            document = made
        if unsure and (event.version > before + 1 or not is_one_log):
            self._held.setdefault(event.key, self.get(event.key))
        self._know(document)
        return True

    def replace(self, reset: DocumentReset, epoch: str, unsure: Collection[str] = ()) -> set[str]:
        """Replace all documents by a snapshot's. Returns the keys of all old and new documents.

        The version of a deleted document is remembered, as versions never restart within a log. A
        version that was fetched is kept if the snapshot has an older one.

        Args:
            reset: the snapshot.
            epoch: the epoch of its log.
            unsure: the keys of documents whose newer versions may contain an own edit; if they
                have changed, the old value is still shown.
        """
        # Stored documents may come from another log than the queue's. Such a value is shown while
        # Core's is fetched, but its version is not used.
        is_one_log = self.synced and self.epoch == epoch and reset.reason != "ahead"
        is_trusted = is_one_log and reset.reason != "digest"
        shown, ahead = self._newest, self._ahead if is_one_log else {}
        before = shown if is_trusted else {key: shown[key] for key in ahead}
        held = {key: self.get(key) for key in unsure}
        self.epoch = epoch
        keys = {*self._newest, *(document.key for document in reset.documents)}
        self._newest, self._hashes, self._check = {}, {}, None
        self.wanted, self._ahead, self.synced = {}, {}, True
        for document in reset.documents:
            known = before.get(document.key)
            if known is not None and known.version > document.version:
                self._newest[document.key] = known
                self._ahead[document.key] = known.version
                continue
            if document.value is not UNSET:
                self._newest[document.key] = document
                continue
            if known is not None and known.version == document.version:
                self._newest[document.key] = known
                continue
            self.wanted[document.key] = document.version
            if known is not None:
                self._newest[document.key] = known
            elif document.key in shown:
                self._newest[document.key] = replace(shown[document.key], version=0)
        for key in before.keys() - {document.key for document in reset.documents}:
            self._newest[key] = replace(before[key], value=None)
            if key in ahead:
                # The snapshot is older, or the document was deleted since: fetch it to find out.
                self._newest[key], self._ahead[key] = before[key], ahead[key]
                self.wanted[key] = None
        self._held = {}
        for key, one in held.items():
            if _is_same(one, self._newest.get(key)):
                continue
            self._held[key] = one if one is None or is_trusted else replace(one, version=0)
        return keys

    def fetched(self, document: Document, *, unsure: bool = False) -> bool:
        """Take a fetched version. Returns whether the newest known document has changed.

        Args:
            document: the fetched version.
            unsure: whether it may contain an own edit; then the old value is still shown.
        """
        wanted = self.wanted.get(document.key)
        if wanted is None or document.version >= wanted:
            self.wanted.pop(document.key, None)
        if document.value is UNSET or document.version <= self._version(document.key):
            return False
        if unsure:
            self._held.setdefault(document.key, self.get(document.key))
        self._know(document)
        if document.value is None:
            self._ahead.pop(document.key, None)
            self._is_end_ahead = True
        elif wanted is None or document.version > wanted:
            self._ahead[document.key] = document.version
        return True

    def missing(self, key: str, version: int | None) -> bool:
        """Core does not have this version. Returns whether to fetch the newest one instead."""
        if key not in self.wanted or self.wanted[key] != version:
            return False
        if version is None:
            del self.wanted[key]
            return False
        self.wanted[key] = None
        return True

    def want(self, key: str) -> bool:
        """Ask for the newest version. Returns False if a certain version is already asked for."""
        return self.wanted.setdefault(key, None) is None

    def agrees(self, content_digest: str) -> bool | None:
        """Whether the documents have this digest; None: they cannot be compared yet.

        They cannot while a value is missing (`agrees_now` repeats the comparison once it is here)
        or while a fetched value is newer than the log. A fetched deletion may never appear as an
        event, so it excuses one failed comparison only: the digest may have been made before the
        deletion.
        """
        self._check = None
        if self._ahead:
            return None
        if self.wanted:
            self._check = content_digest
            return None
        agrees = self._compare(content_digest)
        self._is_end_ahead = False
        return agrees

    def agrees_now(self) -> bool | None:
        """The result of a postponed comparison; None: there is none, or it must wait longer."""
        if self._check is None or self.wanted:
            return None
        check, self._check = self._check, None
        return None if self._ahead else self._compare(check)

    def _compare(self, content_digest: str) -> bool | None:
        is_same = format_content_digest(self._digest()) == content_digest
        return True if is_same else None if self._is_end_ahead else False

    def _digest(self) -> int:
        total = EMPTY
        for key, document in self._newest.items():
            if key not in self._hashes:
                self._hashes[key] = document.content or EMPTY
            total ^= self._hashes[key]
        return total

    def _version(self, key: str) -> int:
        """The newest version that is known."""
        newest = self._newest.get(key)
        return 0 if newest is None else newest.version

    def _from_diff(self, event: DocumentEvent) -> Document | None:
        known = self._newest.get(event.key)
        before = None if known is None else known.value
        if (
            event.diff is UNSET
            or before is UNSET
            or event.key in self.wanted
            or event.version != self._version(event.key) + 1
        ):
            return None
        try:
            value = apply_patch(MISSING if before is None else before, event.diff)
        except StateError:
            return None
        if value is not MISSING and type(value) is not dict:
            return None
        return _document_of(event, None if value is MISSING else value)

    def _know(self, document: Document) -> None:
        self._newest[document.key] = document
        self._hashes.pop(document.key, None)
        wanted = self.wanted.get(document.key)
        if document.key in self.wanted and (wanted is None or wanted <= document.version):
            del self.wanted[document.key]


def _document_of(event: DocumentEvent, value: Value | UnsetType | None) -> Document:
    return Document(
        event.channel, event.key, event.version, event.schema, event.occurred_at, event.by, value
    )


def _is_same(one: Document | None, other: Document | None) -> bool:
    """Whether both are the same document at the same version, or both are None."""
    if one is None or other is None:
        return one is other
    return one.version == other.version and same(one.value, other.value)
