# From the records in the rings to sums of equal samples.

from bisect import bisect_right
import sys

from .samples import Frame

cdef Py_ssize_t MOST_CODES = 20000
cdef Py_ssize_t MOST_LINES = 200000
cdef Py_ssize_t MOST_ENTRIES = 200000

MANY_LINES = Frame("<further lines>", "", 0, 0)

cdef object TEMPLATE = (lambda: None).__code__
cdef object ENCODINGS = {1: "latin-1", 2: "utf-16", 4: "utf-32"}
cdef object BYTE_ORDER = "-le" if sys.byteorder == "little" else "-be"


cdef class _CodeLines:
    """The names of a code object, and which line each of its instructions belongs to."""

    cdef readonly str filename
    cdef readonly str function
    cdef readonly int first_line
    cdef readonly list starts
    cdef readonly list lines
    # Numbers of frames by instruction, as far as they were seen.
    cdef readonly dict seen

    def __init__(self, str filename, str function, int first_line, bytes table):
        self.filename = filename
        self.function = function
        self.first_line = first_line
        self.starts = []
        self.lines = []
        self.seen = {}
        if len(table) >= MOST_TABLE:
            # Cut off where an entry begins: its first byte has the highest bit set.
            end = len(table) - 1
            while end > 0 and table[end] < 0x80:
                end -= 1
            table = table[:end]
        before = first_line
        for start, _, line in TEMPLATE.replace(co_linetable=table, co_firstlineno=first_line).co_lines():
            before = before if line is None else line
            self.starts.append(start)
            self.lines.append(before)

    cdef int line_at(self, int64_t instruction):
        cdef Py_ssize_t place = bisect_right(self.starts, instruction) - 1
        return self.lines[place] if place >= 0 else self.first_line


cdef note(list notes, str text):
    if text not in notes:
        notes.append(text)


cdef class _Sums:
    """Adds up the samples of all rings.

    Parameters
    ----------
    noted : list of str
        What hindered the sampling; added to.
    """

    cdef list noted
    cdef list frames
    cdef dict frame_numbers
    cdef _Modules modules
    cdef dict entries
    # What came since the spool was written; None where there is no spool.
    cdef dict fresh
    cdef dict codes
    cdef dict older_codes
    cdef dict contents
    cdef dict last_waits

    def __init__(self, list noted):
        self.noted = noted
        self.frames, self.frame_numbers = [], {}
        self.modules = _Modules()
        self.entries = {}
        self.codes, self.older_codes, self.contents = {}, {}, {}
        self.last_waits = {}

    cdef begin_period(self):
        """Prepare for a drain of the rings."""
        global period
        self.modules.refreshed = False
        # From here on the handlers define every code object again: another may stand at its address.
        sampler_store(&period, period + 1)
        if len(self.contents) > MOST_CODES:
            self.older_codes, self.codes, self.contents = self.codes, {}, {}

    cdef drain(self, Slot *slot, thread, bint running):
        cdef int64_t end = sampler_load(&slot.written)
        cdef uint64_t *record
        cdef uint64_t head
        while slot.taken < end:
            record = slot.ring + slot.taken % slot.capacity
            head = record[0]
            if head >> 32 == 0:
                # The slot's last thread was still in its handler when the ring was given to this one.
                sampler_store(&slot.taken, end)
                return
            if head & 0xFF == SAMPLE:
                if not running:
                    thread = record[1]
                    record[1] = 0
                self._add(record, (head >> 8) & 0xFF, thread, running)
            elif head & 0xFF == DEFINITION:
                self._define(record)
            sampler_store(&slot.taken, slot.taken + <int64_t>(head >> 32))

    cdef _define(self, uint64_t *record):
        cdef Py_ssize_t place = 3
        identity = record[1]
        content = (<char *>(record + 2))[:8 * ((record[0] >> 32) - 2)]
        code = self.contents.get(content)
        if code is None:
            texts = []
            for _ in range(3):
                size, width = record[place] & 0xFFFFFFFF, record[place] >> 32
                data = (<char *>(record + place + 1))[:size]
                if width:
                    encoding = ENCODINGS[width] + (BYTE_ORDER if width > 1 else "")
                    data = data.decode(encoding, "surrogatepass" if width > 1 else "strict")
                texts.append(data)
                place += 1 + (size + 7) // 8
            table = texts[2] if isinstance(texts[2], bytes) else b""
            code = self.contents[content] = _CodeLines(str(texts[0]), str(texts[1]), record[2], table)
        self.codes[identity] = code

    cdef _frame_number(self, _CodeLines code, instruction):
        line = code.line_at(instruction)
        frame = (code.filename, code.function, line, code.first_line)
        number = self.frame_numbers.get(frame)
        if number is None:
            if len(self.frames) == MOST_LINES:
                note(self.noted, f"lines beyond the first {MOST_LINES} are not told apart")
                frame = (MANY_LINES.filename, "", 0, 0)
            number = self.frame_numbers.setdefault(frame, len(self.frames))
            if number == len(self.frames):
                self.frames.append(Frame(*frame))
        code.seen[instruction] = number
        return number

    cdef _add(self, uint64_t *record, int count, thread, bint running):
        cdef int place
        cdef _CodeLines code
        cdef list key
        cdef uint64_t address = record[1]
        cdef double seconds = 1e-9 * <int64_t>record[2]
        if address == 0 or self.modules.interpreter_start <= address < self.modules.interpreter_end:
            module, offset = None, 0
        else:
            module, offset = self.modules.place(address)
        key = [thread, running, module, offset]
        for place in range(count):
            code = self.codes.get(record[3 + 2 * place])
            if code is None:
                code = self.older_codes.get(record[3 + 2 * place])
                if code is None:
                    break
            number = code.seen.get(record[4 + 2 * place])
            if number is None:
                number = self._frame_number(code, record[4 + 2 * place])
            key.append(number)
        if len(self.entries) >= MOST_ENTRIES and tuple(key) not in self.entries:
            note(self.noted, f"stacks beyond the first {MOST_ENTRIES} are kept by their innermost line only")
            key = [thread, running, None, 0, *key[4:5]]
        whole = tuple(key)
        self._sum_up(whole, seconds, 1)
        if not running:
            self.last_waits[thread] = whole

    cdef _sum_up(self, tuple key, double seconds, int count):
        cdef list entry
        for sums in (self.entries, self.fresh) if self.fresh is not None else (self.entries,):
            entry = sums.get(key)
            if entry is None:
                sums[key] = [seconds, count]
            else:
                entry[0] += seconds
                entry[1] += count

    cdef prolong_wait(self, thread, double seconds):
        """Add time to where a thread was last seen waiting."""
        self._sum_up(self.last_waits.get(thread, (thread, False, None, 0)), seconds, 0)
