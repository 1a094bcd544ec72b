"""Samples in: what devices send over LSL, and recordings played as if they were devices.

Lives here: device profiles (:mod:`.devices`), what is on the network (:mod:`.discovery`), one live stream (:mod:`.lsl`,
over :mod:`.reader`, :mod:`.inlet` and :mod:`.handover`), the player (:mod:`.replay`, over :mod:`.timeline` and
:mod:`.outlets`) and the items that flow (:mod:`.items`). May import ``signals``, ``clock``, ``errors``. pylsl is imported
only when a stream is looked for or played; importing the profiles is free.
"""
