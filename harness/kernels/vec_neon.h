/* vec_neon.h — vf of four floats; AArch64 always has it. Meanings: vec_scalar.h.
 * Its own maxima let NaN win, so vf_max and vf_min compare and select instead. */
#include <arm_neon.h>

typedef float32x4_t vf;
typedef uint32x4_t vu;
typedef uint64x2_t vq;
typedef uint32x4_t vm;
enum { VF = 4, VQ = 2 };

static inline vf vf_set(float a) { return vdupq_n_f32(a); }
static inline vf vf_load(const float *p) { return vld1q_f32(p); }
static inline void vf_store(float *p, vf a) { vst1q_f32(p, a); }
static inline vf vf_load_n(const float *p, size_t n, float fill)
{
    vf a = vf_set(fill);
    if (n >= VF)
        return vf_load(p);
    if (n > 0)
        a = vld1q_lane_f32(p, a, 0);
    if (n > 1)
        a = vld1q_lane_f32(p + 1, a, 1);
    if (n > 2)
        a = vld1q_lane_f32(p + 2, a, 2);
    return a;
}
static inline void vf_store_n(float *p, vf a, size_t n)
{
    if (n > 0)
        vst1q_lane_f32(p, a, 0);
    if (n > 1)
        vst1q_lane_f32(p + 1, a, 1);
    if (n > 2)
        vst1q_lane_f32(p + 2, a, 2);
    if (n > 3)
        vst1q_lane_f32(p + 3, a, 3);
}
static inline vf vf_load_u8(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    const uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)));
}

static inline vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vf vf_max_nan(vf a, vf b) { return vmaxq_f32(a, b); }
static inline vf vf_abs(vf a) { return vabsq_f32(a); }
static inline vf vf_sqrt(vf a) { return vsqrtq_f32(a); }
static inline vf vf_reciprocal(vf a) { return vdupq_n_f32(1.0f) / a; }
static inline vf vf_round(vf a) { return vrndnq_f32(a); }
static inline float vf_sum(vf a) { return vaddvq_f32(a); }
static inline float vf_hmax(vf a) { return vmaxvq_f32(a); }

static inline vu vu_set(uint32_t a) { return vdupq_n_u32(a); }
static inline vu vf_bits(vf a) { return vreinterpretq_u32_f32(a); }
static inline vf vu_float(vu u) { return vreinterpretq_f32_u32(u); }
static inline vu vu_load(const uint32_t *p) { return vld1q_u32(p); }
static inline vf vu_to_f(vu a) { return vcvtq_f32_s32(vreinterpretq_s32_u32(a)); }
static inline vu vf_to_u(vf a) { return vreinterpretq_u32_s32(vcvtnq_s32_f32(a)); }
static inline vf vf_scale2(vf a, vf k)
{
    const int32x4_t e = vcvtnq_s32_f32(k), half = vshrq_n_s32(e, 1), bias = vdupq_n_s32(127);
    const int32x4_t p = vshlq_n_s32(vaddq_s32(half, bias), 23);
    const int32x4_t q = vshlq_n_s32(vaddq_s32(vsubq_s32(e, half), bias), 23);
    return a * vreinterpretq_f32_s32(p) * vreinterpretq_f32_s32(q);
}

static inline vm vf_less(vf a, vf b) { return vcltq_f32(a, b); }
static inline vm vf_equal(vf a, vf b) { return vceqq_f32(a, b); }
static inline vm vf_is_nan(vf a) { return vmvnq_u32(vceqq_f32(a, a)); }
static inline vm vm_or(vm a, vm b) { return vorrq_u32(a, b); }
static inline bool vm_any(vm a) { return vmaxvq_u32(a) != 0; }
static inline vf vf_select(vm m, vf a, vf b) { return vbslq_f32(m, a, b); }

static inline vq vq_set(uint64_t a) { return vdupq_n_u64(a); }
static inline vq vq_iota(uint64_t a) { return vcombine_u64(vcreate_u64(a), vcreate_u64(a + 1)); }
static inline vq vq_mul32(vq a, vq b) { return vmull_u32(vmovn_u64(a), vmovn_u64(b)); }
static inline void vq_store(uint32_t *p, vq a) { vst1q_u32(p, vreinterpretq_u32_u64(a)); }

static inline void vf_store_zipped(float *p, vf a, vf b)
{
    vst2q_f32(p, ((float32x4x2_t){{a, b}}));
}
static inline void vf_transpose(vf r[VF])
{
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1])),
                      b = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1])),
                      c = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3])),
                      d = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
    r[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    r[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    r[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    r[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}
static inline void vf_turn(const float *x, size_t ldx, float *y, size_t ldy)
{
    vf r[VF] = {vf_load(x), vf_load(x + ldx), vf_load(x + 2 * ldx), vf_load(x + 3 * ldx)};
    vf_transpose(r);
    for (size_t i = 0; i < VF; i++)
        vf_store(y + i * ldy, r[i]);
}
static inline vf vf_sums(vf r[VF], int n)
{
    for (int i = 0; 2 * i < n; i++) {
        const vf a = r[2 * i], b = 2 * i + 1 < n ? r[2 * i + 1] : a;
        r[i] = vcombine_f32(vget_low_f32(a), vget_low_f32(b)) +
               vcombine_f32(vget_high_f32(a), vget_high_f32(b));
    }
    return vpaddq_f32(r[0], n > 2 ? r[1] : r[0]);
}
