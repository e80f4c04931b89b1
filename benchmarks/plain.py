"""The method as one first writes it: one text-encoder pass a layer, every picture encoded at each step, one picture
at a time, guidance as two passes of the U-Net. Each function computes what the package's does, slowly; all speed-ups
are ratios to these."""
import torch
import torch.nn.functional as F
from diffusers import DPMSolverMultistepScheduler

from viewneti.injection import add_bypass, text_hidden, text_parts
from viewneti.models import starting_noise


def plain_conditioning(model, prompts, timesteps, cameras):
    "[B, L, 2, T, D] as `ViewNeTI.encode` gives it: layer after layer."
    text, device = text_parts(model.text_encoder), model.device
    ids = model.tokenizer(prompts, padding='max_length', max_length=model.max_tokens, return_tensors='pt').input_ids
    ids = ids.to(device)
    table, layers = text.embeddings.token_embedding.weight, []
    for layer in range(model.layers):
        at = torch.full((len(ids),), layer, device=device)
        rows, bypasses = F.embedding(ids.clamp(max=len(table)-1), table), []
        for token in model.mappers:
            concept = model.concept(token)
            view = concept.mapper.encoding is not None
            answer = concept.mapper(timesteps.to(device), at, cameras if view else None)
            here = (ids == concept.token_id)[..., None]
            rows = torch.where(here, answer.word[:, None].to(rows.dtype), rows)
            bypasses.append((view, here, answer.bypass, concept.mapper))
        hidden = bypassed = text_hidden(model.text_encoder, rows)
        for _, here, bypass, mapper in sorted(bypasses, key=lambda b: b[0]):
            added = add_bypass(bypassed[:, None], bypass[:, None, None], mapper)[:, 0]
            bypassed = torch.where(here, added, bypassed)
        layers.append(torch.stack([text.final_layer_norm(hidden), text.final_layer_norm(bypassed)], 1))
    return torch.stack(layers, 1)


def plain_loss(model, pictures, prompts, cameras, timesteps, noise, spread):
    "The training loss (arXiv 2309.07986, eq. 2) of a batch of pictures [B, 3, H, W] in [0, 1], encoded now."
    mean, std = model.latent_distribution(pictures)
    latents, schedule = mean + std*spread, model.scheduler
    conditioning = plain_conditioning(model, prompts, timesteps, cameras)
    v = schedule.config.prediction_type == 'v_prediction'
    target = schedule.get_velocity(latents, noise, timesteps) if v else noise
    noisy = schedule.add_noise(latents, noise, timesteps).to(model.dtype)
    return F.mse_loss(model.predict(noisy, timesteps, conditioning).float(), target)


@torch.no_grad()
def plain_generate(model, prompt, cameras, seeds, steps, guidance, size):
    "[V, S, 3, H, W] as `ViewNeTI.generate` gives it: one picture at a time, two passes of the U-Net a step."
    views = []
    for camera in cameras.split(1):
        pictures = []
        for seed in seeds:
            sampler = DPMSolverMultistepScheduler.from_config(model.scheduler.config, algorithm_type='dpmsolver++')
            sampler.set_timesteps(steps)
            z = (starting_noise([seed], model.latent_shape(size))*sampler.init_noise_sigma).to(model.device)
            for t in sampler.timesteps:
                x, at = sampler.scale_model_input(z, t).to(model.dtype), t[None].to(model.device)
                without = model.predict(x, at, model.encode('', 0)).float()
                prompted = model.predict(x, at, plain_conditioning(model, [prompt], at, camera)).float()
                z = sampler.step(without + guidance*(prompted-without), t, z).prev_sample
            pictures.append(model.decode_latents(z).cpu())
        views.append(torch.cat(pictures))
    return torch.stack(views)
