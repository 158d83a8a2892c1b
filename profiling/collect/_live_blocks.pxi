# Two hash tables of the allocation counter, with open addressing: the blocks that are alive, and the
# lines that were looked up. Whoever uses one holds the counter's lock.

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free


cdef struct Block:
    void *address  # NULL: the place is free.
    size_t size
    int line
    int moving  # A reallocation of it is under way.
    size_t padding  # To a power of two, which makes the way from an index to a place one shift.


cdef struct Blocks:
    Block *places
    size_t mask
    size_t used


cdef struct Site:
    void *code  # NULL: the place is free.
    int instruction
    int line


cdef struct Sites:
    Site *places
    size_t mask
    size_t used


cdef inline size_t spread(uint64_t key, size_t mask) noexcept nogil:
    # Addresses end in zeros and follow each other; the middle bits of this product do neither.
    return <size_t>((key * <uint64_t>0x9E3779B97F4A7C15) >> 20) & mask


cdef inline size_t home_of(const void *address, size_t mask) noexcept nogil:
    return spread(<uint64_t>address >> 4, mask)


cdef bint make_blocks(Blocks *blocks, size_t places) noexcept nogil:
    """Give an empty table `places` places, a power of two; return whether there was memory."""
    blocks.places = <Block *>calloc(places, sizeof(Block))
    blocks.mask = places - 1
    blocks.used = 0
    return blocks.places != NULL


cdef inline Block *find_block(Blocks *blocks, const void *address) noexcept nogil:
    """Return the block of this address, or NULL."""
    cdef size_t place = home_of(address, blocks.mask)
    # Nearly always the first place decides: it stands before the loop, which then costs nothing.
    if blocks.places[place].address == address:
        return &blocks.places[place]
    while blocks.places[place].address != NULL:
        place = (place + 1) & blocks.mask
        if blocks.places[place].address == address:
            return &blocks.places[place]
    return NULL


cdef bint grow_blocks(Blocks *blocks) noexcept nogil:
    cdef Blocks larger
    cdef size_t old, place
    if not make_blocks(&larger, 2 * (blocks.mask + 1)):
        return False
    for old in range(blocks.mask + 1):
        if blocks.places[old].address == NULL:
            continue
        place = home_of(blocks.places[old].address, larger.mask)
        while larger.places[place].address != NULL:
            place = (place + 1) & larger.mask
        larger.places[place] = blocks.places[old]
    larger.used = blocks.used
    free(blocks.places)
    blocks[0] = larger
    return True


cdef Block *search_place(Blocks *blocks, void *address) noexcept nogil:
    cdef size_t place
    if 2 * blocks.used > blocks.mask and not grow_blocks(blocks):
        return NULL
    place = home_of(address, blocks.mask)
    while blocks.places[place].address != NULL:
        if blocks.places[place].address == address:
            return &blocks.places[place]
        place = (place + 1) & blocks.mask
    blocks.places[place].address = address
    blocks.places[place].size = 0
    blocks.used += 1
    return &blocks.places[place]


cdef inline Block *place_block(Blocks *blocks, void *address) noexcept nogil:
    """Return the block of this address, a new one with size 0 if there is none; NULL without memory."""
    cdef Block *first = &blocks.places[home_of(address, blocks.mask)]
    # At most half full: a search then looks at one or two places.
    if first.address != NULL or 2 * blocks.used > blocks.mask:
        return search_place(blocks, address)
    first.address = address
    first.size = 0
    blocks.used += 1
    return first


cdef void close_gap(Blocks *blocks, size_t hole) noexcept nogil:
    """Move those back that gave way to a block which left, so that no search ends too early."""
    cdef size_t place = (hole + 1) & blocks.mask
    cdef size_t home
    while blocks.places[place].address != NULL:
        home = home_of(blocks.places[place].address, blocks.mask)
        if ((place - home) & blocks.mask) >= ((place - hole) & blocks.mask):
            blocks.places[hole] = blocks.places[place]
            hole = place
        place = (place + 1) & blocks.mask
    blocks.places[hole].address = NULL


cdef inline void remove_block(Blocks *blocks, Block *block) noexcept nogil:
    """Take a block out."""
    cdef size_t hole = <size_t>(block - blocks.places)
    blocks.used -= 1
    block.address = NULL
    if blocks.places[(hole + 1) & blocks.mask].address != NULL:
        close_gap(blocks, hole)


cdef bint make_sites(Sites *sites, size_t places) noexcept nogil:
    """Give an empty table `places` places, a power of two; return whether there was memory."""
    sites.places = <Site *>calloc(places, sizeof(Site))
    sites.mask = places - 1
    sites.used = 0
    return sites.places != NULL


cdef inline Site *find_site(Sites *sites, const void *code, int instruction) noexcept nogil:
    """Return the site of this instruction, or the free place that it would take."""
    cdef size_t place = spread((<uint64_t>code >> 4) + <uint64_t>instruction * 0x10001, sites.mask)
    while sites.places[place].code != NULL and (
        sites.places[place].code != code or sites.places[place].instruction != instruction
    ):
        place = (place + 1) & sites.mask
    return &sites.places[place]


cdef bint add_site(Sites *sites, void *code, int instruction, int line) noexcept nogil:
    """Remember the line of an instruction; return whether there was memory."""
    cdef Sites larger
    cdef Site *site
    cdef size_t old
    if 2 * sites.used > sites.mask:
        if not make_sites(&larger, 2 * (sites.mask + 1)):
            return False
        for old in range(sites.mask + 1):
            if sites.places[old].code != NULL:
                site = find_site(&larger, sites.places[old].code, sites.places[old].instruction)
                site[0] = sites.places[old]
        larger.used = sites.used
        free(sites.places)
        sites[0] = larger
    site = find_site(sites, code, instruction)
    sites.used += site.code == NULL
    site.code = code
    site.instruction = instruction
    site.line = line
    return True
