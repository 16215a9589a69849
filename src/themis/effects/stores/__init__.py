"""Where runs are kept: one contract (`themis.pure.protocols.RunStore`), several backends."""
