"""A loop as timm's: the losses are those of `auglik train --epochs 3 --validation-fraction 0`, to rounding."""

import torch
from timm.data.loader import fast_collate
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import AverageMeter
from torch.utils.data import DataLoader

import auglik

K, EPOCHS, BATCH, SEED = 4, 3, 128, 0
digits = auglik.open_dataset("digits").train()
dataset = list(zip(digits.images, digits.labels, strict=True))
mean, std = [digits.images.mean() / 255], [digits.images.std() / 255]
augment = auglik.ViewTransform("fcr", mollify="noise,blur", views=K, flip=0.0, mean=mean, std=std)
objective = auglik.Objective(auglik.LIKELIHOODS["smoothed"], auglik.AGGREGATORS["jensen"])

network = auglik.build_network("small-cnn", 1, 10, 10, SEED).to(memory_format=torch.channels_last)
optimizer = create_optimizer_v2(network, "momentum", lr=0.1, weight_decay=5e-4, filter_bias_and_bn=False)
scheduler = CosineLRScheduler(optimizer, t_initial=EPOCHS * (len(dataset) // BATCH), t_in_epochs=False)

losses = []
for epoch in range(EPOCHS):
    drawn = augment.epoch(digits.images.shape, seed=SEED, epoch=epoch)
    batches, meter = drawn.batches(BATCH), AverageMeter()
    loader = DataLoader(dataset, batch_sampler=batches, collate_fn=fast_collate)  # uint8 [B,c,H,W]
    for update, (where, (images, labels)) in enumerate(zip(batches, loader, strict=True), epoch * len(batches) + 1):
        views = drawn(images, where)
        logits = network(views.images.flatten(0, 1)).unflatten(0, (K, -1))
        loss = objective.loss(logits, views.decay, views.labels(labels, 10), views.weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step_update(update)
        meter.update(loss.item())
    losses.append(meter.avg)
    print(f"epoch {epoch + 1}: loss {losses[-1]:.6f}")
