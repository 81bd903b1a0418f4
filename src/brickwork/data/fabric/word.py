"""The capability word: what a fabric does without anybody at the target, as data that travels and compares."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CapabilityWord:
    """Each claim is what a test with the target asleep saw, not what a name promises.

    native_put, native_get, native_atomics    the verb was done, and seen in memory, while the target slept
    """

    native_put: bool
    native_get: bool
    native_atomics: bool

    @property
    def is_one_sided(self) -> bool:
        """Nobody at the target has to run for anything."""
        return self.native_put and self.native_get and self.native_atomics

    @property
    def needs_target_progress(self) -> bool:
        return not self.is_one_sided

    def __str__(self) -> str:
        native = [name for name in ("put", "get", "atomics") if getattr(self, f"native_{name}")]
        if self.is_one_sided:
            return "one-sided: put, get and atomics need nobody at the target"
        return f"native {', '.join(native) or 'nothing'}; the rest needs a thread of the target"
