#![allow(warnings, clippy::all)]
mod golden;
use burn::tensor::*;
use std::time::Instant;
fn time(name: &str, n: usize, mut f: impl FnMut()) { f(); let mut v = vec![]; for _ in 0..n { let t = Instant::now(); f(); v.push(t.elapsed().as_secs_f64()); } v.sort_by(|a,b| a.total_cmp(b)); println!("{name}: min {:.2} med {:.2} ms", v[0]*1e3, v[n/2]*1e3); }
#[test]
fn ops() {
    let dev = golden::device().autodiff(); let plain = golden::device();
    let (b, s, h, g, d) = (8usize, 256usize, 8usize, 4usize, 32usize);
    let q = Tensor::<4>::random([b, g, 2*s, d], Distribution::Normal(0., 1.), &dev).require_grad();
    let ks = Tensor::<4>::random([b, s, g, d], Distribution::Normal(0., 1.), &dev).require_grad();
    let w = Tensor::<4>::random([b, g, 2*s, s], Distribution::Normal(0., 1.), &dev).require_grad();
    let go = |y: Tensor<4>| { let g = y.sum().backward(); };
    for (name, train) in [("plain", false), ("train", true), ("plain", false), ("train", true)] {
      let (q, ks, w) = if train { (q.clone(), ks.clone(), w.clone()) } else { (q.clone().without_autodiff(), ks.clone().without_autodiff(), w.clone().without_autodiff()) };
      let run = |y: Tensor<4>| { if train { go(y) } };
      time(&format!("{name} qk strided"), 9, || run(q.clone().matmul(ks.clone().swap_dims(1,2).swap_dims(2,3))));
      time(&format!("{name} qk k contiguous"), 9, || run(q.clone().matmul(ks.clone().swap_dims(1,2).reshape([b,g*s,d]).reshape([b,g,s,d]).swap_dims(2,3))));
      time(&format!("{name} qk kT contiguous"), 9, || run(q.clone().matmul(ks.clone().swap_dims(1,2).swap_dims(2,3).reshape([b,g*d,s]).reshape([b,g,d,s]))));
      time(&format!("{name} wv strided"), 9, || run(w.clone().matmul(ks.clone().swap_dims(1,2))));
      time(&format!("{name} wv contiguous"), 9, || run(w.clone().matmul(ks.clone().swap_dims(1,2).reshape([b,g*s,d]).reshape([b,g,s,d]))));
    }
}
