"""The page: its parts, and the server that shows it."""

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from deblur_zoo.demo import answer
from deblur_zoo.files import pictures
from deblur_zoo.zoo import list_models

MAXIMUM_MEGABYTES = 200
# Uploads and results of more than an hour are removed, every ten minutes.
_REMOVED_EVERY, _KEPT_SECONDS = 600, 3600
# Requests that may wait while a photo is restored.
_WAITING = 20
# Gradio's own come from the net.
_FONTS, _MONOSPACE = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
_MARKED = "Green: restored. Yellow: sharp already."
# Without it the page is as narrow as its first column until there is a result.
_CSS = """
.gradio-container { max-width: 1100px !important; margin: 0 auto !important; }
.gradio-container > main { width: 100%; }
"""


def serve(
    host: str, port: int | None, preset: str, maximum_pixels: int = pictures.MAXIMUM_PIXELS, browser: bool = False
) -> None:
    """Serve the page until Ctrl-C. It loads nothing from the net, and uploads are removed at the end.

    Args:
        host: address to listen on; "127.0.0.1" accepts this machine only.
        port: of the address; None: the first free one from 7860.
        preset: selected at the start.
        maximum_pixels: larger photos are rejected.
        browser: open the page.

    Raises:
        ImportError: Gradio is missing.
        OSError: the address or port cannot be used.
    """
    # So that the folder is removed then, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="deblur-zoo-demo-") as folder:
        os.environ |= {
            "GRADIO_TEMP_DIR": folder,
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        import gradio

        page = build(Path(folder), preset, maximum_pixels)
        try:
            page.launch(
                server_name=host,
                server_port=port,
                inbrowser=browser,
                share=False,
                quiet=True,
                footer_links=[],
                run_history=False,
                max_file_size=f"{MAXIMUM_MEGABYTES}mb",
                ssr_mode=False,
                mcp_server=False,
                prevent_thread_lock=True,
                css=_CSS,
                theme=gradio.themes.Default(font=_FONTS, font_mono=_MONOSPACE),
            )
        except OSError as error:
            raise OSError(f"Cannot listen on {host}:{port or 7860}; choose another --host or --port.") from error
        print(f"The page is at {page.local_url} (Ctrl-C ends it).", flush=True)
        page.block_thread()


def build(folder: Path, preset: str, maximum_pixels: int = pictures.MAXIMUM_PIXELS) -> Any:
    """The page as ``gradio.Blocks``.

    Args:
        folder: Gradio's temporary folder, for the results.
        preset: selected at the start.
        maximum_pixels: larger photos are rejected.
    """
    import gradio as gr

    hidden = gr.update(value=None, visible=False)

    def look(photo):
        try:
            picture = photo and answer.preview(photo, maximum_pixels)
        except ValueError as error:
            return str(error), hidden, hidden, hidden
        return "", hidden, gr.update(value=picture, visible=picture is not None, label="Photo"), hidden

    # Gradio fills an argument whose default is a Progress.
    def restore(photo, preset, strength, progress=gr.Progress()):  # noqa: B008
        progress(0, desc="Restoring")
        result = answer.restore(
            photo,
            preset,
            strength,
            tempfile.mkdtemp(dir=folder),
            maximum_pixels,
            lambda share: progress(share, desc="Restoring"),
        )
        return (
            result.message,
            gr.update(value=(result.before, result.after), visible=True) if result.after else hidden,
            gr.update(value=result.marked, visible=True, label=_MARKED) if result.marked else hidden,
            gr.update(value=result.download, visible=True) if result.download else hidden,
        )

    with gr.Blocks(title="deblur_zoo", analytics_enabled=False, delete_cache=(_REMOVED_EVERY, _KEPT_SECONDS)) as page:
        gr.Markdown("# Deblur the faces in a photo\nPhotos go nowhere but to the computer that runs this page.")
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                photo = gr.File(label="Photo", file_types=["image", ".heic", ".heif", ".avif"], height=160)
                presets = list_models(kind="deblurrer", trained=True)
                chosen = gr.Dropdown(presets, value=preset, label="Preset", filterable=False)
                strength = gr.Slider(0, 1, value=1, step=0.05, label="Strength")
                button = gr.Button("Restore", variant="primary")
            with gr.Column(scale=2, min_width=300):
                message = gr.Textbox(label="Result", interactive=False, lines=1)
                slider = gr.ImageSlider(
                    label="Before and after", visible=False, buttons=["fullscreen"], interactive=False, format="png"
                )
                download = gr.DownloadButton("Download the restored photo", visible=False, variant="primary")
                marked = gr.Image(label="Photo", visible=False, buttons=["fullscreen"], interactive=False, format="png")
        shown = [message, slider, marked, download]
        restoring = button.click(
            restore, [photo, chosen, strength], shown, api_name="restore", concurrency_limit=1, show_progress_on=message
        )
        # A result for an earlier photo must not appear under this one.
        photo.change(look, photo, shown, show_progress="hidden", api_visibility="private", cancels=restoring)
    return page.queue(max_size=_WAITING)
