"""Videos: `media` is the one place that opens them, the other files measure.

Rules
* What is in a file decides, not its name. Only containers of `probe.CONTAINERS` are opened, never playlists, and never an address:
  a file cannot make the reader open another one.
* The video track is the one ffmpeg calls best (cover pictures do not count); the audio track likewise. Other tracks are counted.
* A frame's time is its own timestamp, never its number over the frame rate. A frame without one takes the decoder's best guess.
* Pixels are upright (display matrix, rounded to quarters), square (sample aspect ratio applied to the width), sRGB, 8 bits a channel.
  Untagged colours are BT.709 from 720 lines on, else BT.601. HDR (PQ, HLG) is tone-mapped, see `hdr`. Interlaced video is not
  deinterlaced; `video_interlaced` says so.
* What can be decoded before or around damage is used, and `video_damage` says what is wrong. A file of which less than two frames can
  be decoded is an error.
* Time is bounded: opening, waiting for the next frame, and the whole (`media.Limits`). Memory is bounded by the frames in flight.
"""
