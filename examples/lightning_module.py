"""Lightning: the losses are those of `auglik train --epochs 3 --validation-fraction 0` on a CPU, to rounding."""

import lightning
import torch
from torch.utils.data import DataLoader

import auglik

digits = auglik.open_dataset("digits").train()
mean, std = [digits.images.mean() / 255], [digits.images.std() / 255]
augment = auglik.ViewTransform("fcr", mollify="noise,blur", views=4, flip=0.0, mean=mean, std=std)
objective = auglik.Objective(auglik.LIKELIHOODS["smoothed"], auglik.AGGREGATORS["jensen"])


class Classifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = auglik.build_network("small-cnn", 1, 10, 10, seed=0).to(memory_format=torch.channels_last)

    def train_dataloader(self):
        self.drawn = augment.epoch(digits.images.shape, seed=0, epoch=self.current_epoch)
        self.batches = self.drawn.batches(128)
        return DataLoader(list(zip(*digits, strict=True)), batch_sampler=self.batches)

    def training_step(self, batch, index):
        views = self.drawn(batch[0], self.batches[index])
        logits = self.network(views.images.flatten(0, 1)).unflatten(0, (4, -1))
        loss = objective.loss(logits, views.decay, views.labels(batch[1], 10), views.weight)
        self.log("loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.trainer.estimated_stepping_batches)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


trainer = lightning.Trainer(max_epochs=3, accelerator="cpu", reload_dataloaders_every_n_epochs=1, logger=False)
trainer.fit(Classifier())
