"""k-means on NumPy arrays: the four steps on any (N, D) data, and an image as an array."""

import numpy as np

import kmeans_c

# Any points: three clouds in five dimensions.
rng = np.random.default_rng(0)
clouds = np.repeat([[0.0], [10.0], [20.0]], 1000, axis=0)
X = (clouds + rng.standard_normal((3000, 5))).astype(np.float32)

start = kmeans_c.initialize_centroids(X, K=3, seed=0, init="k-means++")
centroids, indices = kmeans_c.apply_k_means(X, start, ITERS=20)
print("centres of the clouds:", sorted(centroids.mean(axis=1).round(1).tolist()))
print("points in each:", np.bincount(indices).tolist())

# One round by hand is the same as ITERS=1.
indices = kmeans_c.get_centroid_indices(X, start)
by_hand = kmeans_c.get_centroid_values(X, indices, K=3)
assert by_hand.tobytes() == kmeans_c.apply_k_means(X, start, ITERS=1)[0].tobytes()

# An image: (H, W, 3) bytes in, a palette and its indices out.
y, x = np.mgrid[0:200, 0:300]
image = np.stack([x * 255 // 299, y * 255 // 199, (x + y) * 255 // 498], axis=2).astype(np.uint8)
result = kmeans_c.quantize(image, K=8)
print("palette:", result.palette.tolist())
print(f"PSNR: {result.psnr:.2f} dB in {result.n_iter} rounds")
assert (result.palette[result.indices] == result.to_array()).all()
