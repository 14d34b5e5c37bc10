// SPDX-License-Identifier: BSD-3-Clause
//
// One vector type per dtype, of the native width of the instruction set, and the dozen
// operations that the kernels need. Arithmetic uses the compiler's vector operators;
// an intrinsic stands only where the generic form compiles badly. Contraction is off:
// a fused multiply-add happens where fma() is written and nowhere else.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#include <stddef.h>
#include <stdint.h>

#define RNNEXT_INLINE inline __attribute__((always_inline))
#define RNNEXT_LAMBDA __attribute__((always_inline))

// RNNEXT_EMULATE_AVX512 (tests only): the code of AVX-512 for a machine with AVX2,
// where the compiler makes two vectors of every one.
#if defined(__AVX512F__) || defined(RNNEXT_EMULATE_AVX512)
#define RNNEXT_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define RNNEXT_VECTOR_BYTES 32
#else
#define RNNEXT_VECTOR_BYTES 16
#endif

namespace rnnext::RNNEXT_NAMESPACE {

// To name what a member of the same name hides.
namespace wing = rnnext::RNNEXT_NAMESPACE;

using vf = float __attribute__((vector_size(RNNEXT_VECTOR_BYTES)));
using vd = double __attribute__((vector_size(RNNEXT_VECTOR_BYTES)));
using vi32 = int32_t __attribute__((vector_size(RNNEXT_VECTOR_BYTES)));
using vi64 = int64_t __attribute__((vector_size(RNNEXT_VECTOR_BYTES)));
using vu32 = uint32_t __attribute__((vector_size(RNNEXT_VECTOR_BYTES)));
using vu64 = uint64_t __attribute__((vector_size(RNNEXT_VECTOR_BYTES)));

template <class T> struct VecOf;
template <> struct VecOf<float> {
    using type = vf;
};
template <> struct VecOf<double> {
    using type = vd;
};
template <class T> using Vec = typename VecOf<T>::type;
template <class T> constexpr int lanes = int(RNNEXT_VECTOR_BYTES / sizeof(T));

// The integer vectors of the same lanes, signed and not, and the scalar of a vector.
template <class V> struct Bits;
template <> struct Bits<vf> {
    using type = vi32;
    using wrapping = vu32;
    using scalar = float;
};
template <> struct Bits<vd> {
    using type = vi64;
    using wrapping = vu64;
    using scalar = double;
};
template <class V> using IntOf = typename Bits<V>::type;
template <class V> using WordOf = typename Bits<V>::wrapping;
template <class V> using ScalarOf = typename Bits<V>::scalar;

template <class T> RNNEXT_INLINE Vec<T> load(const T* p) {
    Vec<T> v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

template <class T> RNNEXT_INLINE void store(T* p, Vec<T> v) {
    __builtin_memcpy(p, &v, sizeof v);
}

// Moves count < lanes elements in powers of two: no masked store (slow on AVX2 parts),
// no call.
template <class T> RNNEXT_INLINE void copy_tail(T* to, const T* from, index count) {
    if constexpr (lanes<T> > 8)
        if (count & 8) {
            __builtin_memcpy(to, from, 8 * sizeof(T));
            to += 8, from += 8;
        }
    if constexpr (lanes<T> > 4)
        if (count & 4) {
            __builtin_memcpy(to, from, 4 * sizeof(T));
            to += 4, from += 4;
        }
    if constexpr (lanes<T> > 2)
        if (count & 2) {
            __builtin_memcpy(to, from, 2 * sizeof(T));
            to += 2, from += 2;
        }
    if (count & 1) __builtin_memcpy(to, from, sizeof(T));
}

template <class T> RNNEXT_INLINE void copy_elements(T* to, const T* from, index count) {
    for (; count >= lanes<T>; count -= lanes<T>, to += lanes<T>, from += lanes<T>)
        store(to, load(from));
    copy_tail(to, from, count);
}

// The first `count` elements, 0 < count < lanes; the rest read as zero. Without masks
// the elements meet in memory, where a load wider than the stores before it has to
// wait.
#if defined(__AVX512F__)
RNNEXT_INLINE vf load_first(const float* p, index count) {
    return _mm512_maskz_loadu_ps(__mmask16((1 << count) - 1), p);
}
RNNEXT_INLINE vd load_first(const double* p, index count) {
    return _mm512_maskz_loadu_pd(__mmask8((1 << count) - 1), p);
}
#elif defined(__AVX2__) && !defined(RNNEXT_EMULATE_AVX512)
constexpr int32_t mask_words[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
RNNEXT_INLINE __m256i mask_of_first(index words) {
    __m256i mask;
    __builtin_memcpy(&mask, mask_words + 8 - words, sizeof mask);
    return mask;
}
RNNEXT_INLINE vf load_first(const float* p, index count) {
    return _mm256_maskload_ps(p, mask_of_first(count));
}
RNNEXT_INLINE vd load_first(const double* p, index count) {
    return _mm256_maskload_pd(p, mask_of_first(2 * count));
}
#else
template <class T> RNNEXT_INLINE Vec<T> load_first(const T* p, index count) {
    T buffer[lanes<T>] = {};
    copy_tail(buffer, p, count);
    return load(buffer);
}
#endif

// The first `count` elements (0 < count); the rest read as zero. All if count >= lanes.
template <class T> RNNEXT_INLINE Vec<T> load_partial(const T* p, index count) {
    return count >= lanes<T> ? load(p) : load_first(p, count);
}

template <class T> RNNEXT_INLINE void store_partial(T* p, Vec<T> v, index count) {
    if (count >= lanes<T>) return store(p, v);
    T buffer[lanes<T>];
    store(buffer, v);
    copy_tail(p, buffer, count);
}

#if defined(__AVX512F__)
RNNEXT_INLINE vf splat(float s) { return _mm512_set1_ps(s); }
RNNEXT_INLINE vd splat(double s) { return _mm512_set1_pd(s); }
RNNEXT_INLINE vf fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
RNNEXT_INLINE vd fma(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }
// NaN in b is returned, as in the hardware's second operand.
RNNEXT_INLINE vf min(vf a, vf b) { return _mm512_min_ps(a, b); }
RNNEXT_INLINE vd min(vd a, vd b) { return _mm512_min_pd(a, b); }
#elif defined(RNNEXT_EMULATE_AVX512)
template <class V> struct Halves {
    V low, high;
};
template <class V, class H> RNNEXT_INLINE Halves<H> halves(V v) {
    Halves<H> both;
    __builtin_memcpy(&both, &v, sizeof v);
    return both;
}
template <class V, class H> RNNEXT_INLINE V whole(H low, H high) {
    const Halves<H> both{low, high};
    V v;
    __builtin_memcpy(&v, &both, sizeof v);
    return v;
}
#define RNNEXT_BY_HALVES(V, H, suffix)                                                 \
    RNNEXT_INLINE V splat(ScalarOf<V> s) {                                             \
        const H half = _mm256_set1_##suffix(s);                                        \
        return whole<V>(half, half);                                                   \
    }                                                                                  \
    RNNEXT_INLINE V fma(V a, V b, V c) {                                               \
        const auto x = halves<V, H>(a), y = halves<V, H>(b), z = halves<V, H>(c);      \
        return whole<V>(_mm256_fmadd_##suffix(x.low, y.low, z.low),                    \
                        _mm256_fmadd_##suffix(x.high, y.high, z.high));                \
    }                                                                                  \
    RNNEXT_INLINE V min(V a, V b) {                                                    \
        const auto x = halves<V, H>(a), y = halves<V, H>(b);                           \
        return whole<V>(_mm256_min_##suffix(x.low, y.low),                             \
                        _mm256_min_##suffix(x.high, y.high));                          \
    }
RNNEXT_BY_HALVES(vf, __m256, ps)
RNNEXT_BY_HALVES(vd, __m256d, pd)
#undef RNNEXT_BY_HALVES
#elif defined(__AVX2__)
RNNEXT_INLINE vf splat(float s) { return _mm256_set1_ps(s); }
RNNEXT_INLINE vd splat(double s) { return _mm256_set1_pd(s); }
RNNEXT_INLINE vf fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
RNNEXT_INLINE vd fma(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }
RNNEXT_INLINE vf min(vf a, vf b) { return _mm256_min_ps(a, b); }
RNNEXT_INLINE vd min(vd a, vd b) { return _mm256_min_pd(a, b); }
#elif defined(__x86_64__)
RNNEXT_INLINE vf splat(float s) { return _mm_set1_ps(s); }
RNNEXT_INLINE vd splat(double s) { return _mm_set1_pd(s); }
#define RNNEXT_NO_FMA
RNNEXT_INLINE vf fma(vf a, vf b, vf c) { return a * b + c; }  // two roundings
RNNEXT_INLINE vd fma(vd a, vd b, vd c) { return a * b + c; }
RNNEXT_INLINE vf min(vf a, vf b) { return _mm_min_ps(a, b); }
RNNEXT_INLINE vd min(vd a, vd b) { return _mm_min_pd(a, b); }
#elif defined(__aarch64__)
RNNEXT_INLINE vf splat(float s) { return (vf)vdupq_n_f32(s); }
RNNEXT_INLINE vd splat(double s) { return (vd)vdupq_n_f64(s); }
RNNEXT_INLINE vf fma(vf a, vf b, vf c) {
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
RNNEXT_INLINE vd fma(vd a, vd b, vd c) {
    return (vd)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
RNNEXT_INLINE vf min(vf a, vf b) {
    return (vf)vminq_f32((float32x4_t)a, (float32x4_t)b);
}
RNNEXT_INLINE vd min(vd a, vd b) {
    return (vd)vminq_f64((float64x2_t)a, (float64x2_t)b);
}
#else
#error "rnnext knows x86-64 and aarch64"
#endif

#if defined(RNNEXT_NO_FMA)
// f in double precision on both halves of v.
template <class F> RNNEXT_INLINE vf in_double(vf v, F&& f) {
    const vd low = f((vd)_mm_cvtps_pd(v)),
             high = f((vd)_mm_cvtps_pd(_mm_movehl_ps(v, v)));
    return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
}
#endif

// An accumulator that stays in its register. GCC 12 lets the sums of an unrolled loop
// wander, and some then out to the stack. No instruction.
template <class V> RNNEXT_INLINE void hold(V& v) {
#if defined(RNNEXT_EMULATE_AVX512)
    (void)v;  // in two registers
#elif defined(__x86_64__)
    asm("" : "+v"(v));
#else
    asm("" : "+w"(v));
#endif
}

// sum = fma(x, w, sum) of registers alone, in that of sum, and nothing else: where w
// has several uses GCC 12 may read it again for each, and moves sums that it need not.
template <class V> RNNEXT_INLINE void accumulate(V& sum, V x, V w) {
#if defined(__FMA__) && !defined(RNNEXT_EMULATE_AVX512)
    if constexpr (sizeof(ScalarOf<V>) == sizeof(float))
        asm("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    else asm("vfmadd231pd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
#else
    sum = fma(x, w, sum);
    hold(sum);
#endif
}

template <class V> struct Filled {
    static RNNEXT_INLINE V with(ScalarOf<V> s) { return splat(s); }
};
template <class V> RNNEXT_INLINE V splat_as(ScalarOf<V> s) {
    return Filled<V>::with(s);
}

template <class V> RNNEXT_INLINE V select(IntOf<V> mask, V a, V b) {
    return mask ? a : b;
}

template <class V> RNNEXT_INLINE IntOf<V> bits(V v) { return (IntOf<V>)v; }

template <class V> RNNEXT_INLINE IntOf<V> sign_bit() {
    return bits(splat_as<V>(ScalarOf<V>(-0.0)));
}

template <class V> RNNEXT_INLINE V abs(V v) { return (V)(bits(v) & ~sign_bit<V>()); }

// |v| with the sign of s, for v >= 0.
template <class V> RNNEXT_INLINE V with_sign(V v, V s) {
    return (V)(bits(v) | (bits(s) & sign_bit<V>()));
}

// Calls f(Int<0>{}) ... f(Int<n - 1>{}): a loop unrolled by the front end, so that
// arrays indexed in it become registers.
template <int i> struct Int {
    static constexpr int value = i;
    constexpr operator int() const { return i; }
};

template <int n, int i = 0, class F> RNNEXT_INLINE void unroll(F&& f) {
    if constexpr (i < n) {
        f(Int<i>{});
        unroll<n, i + 1>(f);
    }
}

// ---- squares of 16-byte parts -----------------------------------------------

template <class T> constexpr int part = int(16 / sizeof(T));  // elements

// Parts that begin `stride` elements apart.
#if defined(__AVX512F__)
RNNEXT_INLINE vf load_parts(const float* p, index stride) {
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(p));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + stride), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 2 * stride), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(p + 3 * stride), 3);
}
RNNEXT_INLINE vd load_parts(const double* p, index stride) {
    return (vd)load_parts(reinterpret_cast<const float*>(p), 2 * stride);
}
#elif defined(__AVX2__) && !defined(RNNEXT_EMULATE_AVX512)
RNNEXT_INLINE vf load_parts(const float* p, index stride) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)),
                                _mm_loadu_ps(p + stride), 1);
}
RNNEXT_INLINE vd load_parts(const double* p, index stride) {
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)),
                                _mm_loadu_pd(p + stride), 1);
}
#else
template <class T> RNNEXT_INLINE Vec<T> load_parts(const T* p, index stride) {
    if constexpr (lanes<T> == part<T>) return load(p);
    T parts[lanes<T>];
    for (int i = 0; i < lanes<T>; ++i) parts[i] = p[i / part<T> * stride + i % part<T>];
    return load(parts);
}
#endif

// Within each part, lanes of a and b by turns: of their first halves, of their second.
#define RNNEXT_SHUFFLE __builtin_shufflevector
RNNEXT_INLINE vf interleave_low(vf a, vf b) {
#if RNNEXT_VECTOR_BYTES == 64
    return RNNEXT_SHUFFLE(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13,
                          29);
#elif RNNEXT_VECTOR_BYTES == 32
    return RNNEXT_SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
#else
    return RNNEXT_SHUFFLE(a, b, 0, 4, 1, 5);
#endif
}
RNNEXT_INLINE vf interleave_high(vf a, vf b) {
#if RNNEXT_VECTOR_BYTES == 64
    return RNNEXT_SHUFFLE(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15,
                          31);
#elif RNNEXT_VECTOR_BYTES == 32
    return RNNEXT_SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
#else
    return RNNEXT_SHUFFLE(a, b, 2, 6, 3, 7);
#endif
}
RNNEXT_INLINE vd interleave_low(vd a, vd b) {
#if RNNEXT_VECTOR_BYTES == 64
    return RNNEXT_SHUFFLE(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
#elif RNNEXT_VECTOR_BYTES == 32
    return RNNEXT_SHUFFLE(a, b, 0, 4, 2, 6);
#else
    return RNNEXT_SHUFFLE(a, b, 0, 2);
#endif
}
RNNEXT_INLINE vd interleave_high(vd a, vd b) {
#if RNNEXT_VECTOR_BYTES == 64
    return RNNEXT_SHUFFLE(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
#elif RNNEXT_VECTOR_BYTES == 32
    return RNNEXT_SHUFFLE(a, b, 1, 5, 3, 7);
#else
    return RNNEXT_SHUFFLE(a, b, 1, 3);
#endif
}

// Rows to columns, a square of them in each part: a perfect shuffle of the rows for
// every bit of their number.
template <class T, int stage = 1>
RNNEXT_INLINE void transpose(Vec<T> (&rows)[part<T>]) {
    if constexpr (stage < part<T>) {
        Vec<T> mixed[part<T>];
        unroll<part<T> / 2>([&](auto i) RNNEXT_LAMBDA {
            mixed[2 * i] = interleave_low(rows[i], rows[i + part<T> / 2]);
            mixed[2 * i + 1] = interleave_high(rows[i], rows[i + part<T> / 2]);
        });
        transpose<T, 2 * stage>(mixed);
        unroll<part<T>>([&](auto i) RNNEXT_LAMBDA { rows[i] = mixed[i]; });
    }
}

}  // namespace rnnext::RNNEXT_NAMESPACE
