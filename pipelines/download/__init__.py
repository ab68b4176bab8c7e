"""Downloads lists of URLs into bronze WebDataset shards, which are then listed like any other.

    settings   what a user may say          options    the same on the command line
    start      a source, from list to tars  processes  blocks shared out, watched, entered into the state
    urllist    rows of the list, in blocks  job        the blocks of one process
    block      a block in work              shard      its part file, and the finished tar
    fetch      one URL                      retries    its further attempts
    client     one safe GET, hop by hop     addresses  what may be connected to
    body       reading within limits        hosts      how many requests a host gets, and when
    robots     robots.txt                   opt_out    what a response's headers forbid
    faults     why a URL gave nothing       state      what a folder of downloads remembers

See docs/sources.md. Nothing is imported here: `pipelines.sources.spec` needs the settings alone.
"""
