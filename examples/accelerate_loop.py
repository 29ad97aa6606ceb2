"""Hugging Face accelerate: the losses are those of `auglik train --epochs 3 --validation-fraction 0`, to rounding."""

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset

import auglik

K, EPOCHS, BATCH, SEED = 4, 3, 128, 0
digits = auglik.open_dataset("digits").train()
dataset = TensorDataset(torch.from_numpy(digits.images), torch.from_numpy(digits.labels))
mean, std = [digits.images.mean() / 255], [digits.images.std() / 255]
augment = auglik.ViewTransform("fcr", mollify="noise,blur", views=K, flip=0.0, mean=mean, std=std)
objective = auglik.Objective(auglik.LIKELIHOODS["smoothed"], auglik.AGGREGATORS["jensen"])

accelerator = Accelerator(cpu=True)
network = auglik.build_network("small-cnn", 1, 10, 10, SEED).to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * (len(dataset) // BATCH))
network, optimizer, scheduler = accelerator.prepare(network, optimizer, scheduler)

losses = []
for epoch in range(EPOCHS):
    drawn = augment.epoch(digits.images.shape, seed=SEED, epoch=epoch)
    batches = drawn.batches(BATCH)
    loader = accelerator.prepare(DataLoader(dataset, batch_sampler=batches))
    total = 0.0
    for where, (images, labels) in zip(batches, loader, strict=True):
        views = drawn(images, where)
        logits = network(views.images.flatten(0, 1)).unflatten(0, (K, -1))
        loss = objective.loss(logits, views.decay, views.labels(labels, 10), views.weight)
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()
        scheduler.step()
        total += loss.item()
    losses.append(total / len(batches))
    accelerator.print(f"epoch {epoch + 1}: loss {losses[-1]:.6f}")
