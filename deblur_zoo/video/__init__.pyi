from . import (
    face_tracks as face_tracks,
    frame_averages as frame_averages,
    frame_interpolation as frame_interpolation,
    frame_sequence as frame_sequence,
    frame_sum as frame_sum,
    track_view as track_view,
    tracking as tracking,
    video_file as video_file,
)
