"""Textual inversions in the forms that people share, made with torch 2.15 and safetensors."""
import torch
from safetensors.torch import save_file
t=torch.arange(8,dtype=torch.float32).reshape(2,4)
torch.save({"string_to_token":{"*":265},"string_to_param":{"*":t},"name":"mystyle","step":1000,"sd_checkpoint":None,"sd_checkpoint_name":None},"a1111.pt")
torch.save({"string_to_token":{"*":265},"string_to_param":torch.nn.ParameterDict({"*":torch.nn.Parameter(t)}),"name":"mystyle","step":1000},"a1111_module.pt")
torch.save({"<cat-toy>":t[0].clone()},"learned_embeds.bin")
torch.save({"<cat-toy>":torch.nn.Parameter(t[0].clone())},"learned_embeds2.bin")
save_file({"emb_params":t.half()},"emb.safetensors")
save_file({"clip_l":t,"clip_g":torch.arange(12,dtype=torch.float32).reshape(2,6)},"xl.safetensors")
save_file({"<cat-toy>":t},"d.safetensors")
