"""Which axis holds the channels: the last one, whatever Keras' own default is."""

import keras


def check_data_format():
    """Refuse the setting under which Keras' layers take channels first.

    Raises:
        ValueError: Keras is set to "channels_first".
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            'Keras is set to "channels_first", and deblur_zoo needs "channels_last": change image_data_format in '
            'keras.json, or call keras.config.set_image_data_format("channels_last") first.'
        )
