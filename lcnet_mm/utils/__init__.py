"""What all layers share: errors, files, images, configs, checkpoints and timing. Modules are imported one by one."""
