//! Small hands in both formats.

use sim::import::{self, Assumed, Coupled, ImportError, Imported, Options};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// A folder with files in it.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        }
        Self(folder)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    pub fn import(&self, name: &str, options: &Options) -> Result<Imported, ImportError> {
        import::hand(Path::new(&self.path(name)), options)
    }
}

pub fn options() -> Options {
    Options {
        name: None,
        palm: None,
        frame: None,
        root: None,
        has_wrist: false,
        coupled: Coupled::Refuse,
        assumed: Assumed {
            stiffness_nm_rad: 3.0.try_into().unwrap(),
            damping_nm_s_rad: 0.1.try_into().unwrap(),
            max_effort_nm: 0.5.try_into().unwrap(),
            max_rate_rad_s: 6.0.try_into().unwrap(),
            armature_kg_m2: 5e-4.try_into().unwrap(),
        },
    }
}

/// Two fingers of 40 mm and 30 mm on a box, in three files; degrees, classes, a frame, a `ref`.
pub const GRIPPER: [(&str, &str); 3] = [
    (
        "gripper.xml",
        r#"<mujoco model="gripper">
  <include file="parts/defaults.xml"/>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 .1"/>
    <body name="base" pos="1 2 3" euler="0 0 90" childclass="finger">
      <inertial mass="0.3" pos="0 0 0" diaginertia="1e-4 1e-4 1e-4"/>
      <geom type="box" size=".03 .035 .01"/>
      <geom type="sphere" size=".5" contype="0" conaffinity="0"/>
      <include file="parts/left.xml"/>
      <frame euler="0 0 90">
        <body name="right_near">
          <joint name="right_near" axis="0 -1 0"/>
          <geom fromto="0 0 0 .04 0 0"/>
          <body name="right_far" pos=".04 0 0">
            <joint name="right_far" axis="0 -1 0"/>
            <geom type="sphere" size=".006" pos=".035 0 0"/>
          </body>
        </body>
      </frame>
    </body>
  </worldbody>
  <actuator>
    <position joint="left_near" class="finger"/>
    <position joint="left_far" class="finger" gear="2"/>
    <position joint="right_near" class="finger"/>
    <general joint="right_far" biastype="affine" gainprm="3" biasprm="0 -3 -.1" forcerange="-1 1"/>
  </actuator>
</mujoco>"#,
    ),
    (
        "parts/defaults.xml",
        r#"<mujoco>
  <default>
    <joint damping="0.01" armature="0.002"/>
    <default class="finger">
      <joint axis="0 1 0" range="-10 90" damping="0.03"/>
      <geom type="capsule" size=".007" density="500"/>
      <position kp="2" kv="0.25" forcerange="-0.7 0.7"/>
    </default>
  </default>
</mujoco>"#,
    ),
    (
        "parts/left.xml",
        r#"<mujoco>
  <body name="left_near" pos="0 .03 0">
    <joint name="left_near" ref="30"/>
    <geom fromto="0 0 0 .04 0 0"/>
    <body name="left_far" pos=".04 0 0">
      <joint name="left_far"/>
      <geom fromto="0 0 0 .03 0 0"/>
    </body>
  </body>
</mujoco>"#,
    ),
];

/// Two fingers behind a wrist, one with a joint that follows the other, one with a pad that is fixed to it.
pub const CLAW: &str = r#"<?xml version="1.0"?>
<robot name="claw">
  <link name="arm"><collision><geometry><box size="0.1 0.1 0.1"/></geometry></collision></link>
  <joint name="wrist" type="revolute"><parent link="arm"/><child link="palm"/><axis xyz="0 0 1"/>
    <limit lower="-1" upper="1" effort="5" velocity="2"/></joint>
  <link name="palm"><inertial><mass value="0.2"/><inertia ixx="1e-4" iyy="1e-4" izz="1e-4" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><geometry><box size="0.06 0.08 0.02"/></geometry></collision></link>
  <joint name="a_root" type="revolute"><origin xyz="0.03 0.02 0"/><parent link="palm"/><child link="a1"/><axis xyz="0 1 0"/>
    <limit lower="0" upper="1.5" effort="0.4" velocity="3"/><dynamics damping="0.01"/></joint>
  <link name="a1"><inertial><origin xyz="0.015 0 0"/><mass value="0.02"/>
      <inertia ixx="1e-6" iyy="2e-6" izz="2e-6" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><origin xyz="0.015 0 0" rpy="0 1.5707963267948966 0"/><geometry><cylinder radius="0.007" length="0.03"/></geometry></collision></link>
  <joint name="a_tip" type="revolute"><origin xyz="0.03 0 0"/><parent link="a1"/><child link="a2"/><axis xyz="0 1 0"/>
    <limit lower="0" upper="1.5" effort="0.4" velocity="3"/></joint>
  <link name="a2"><inertial><origin xyz="0.01 0 0"/><mass value="0.02"/>
      <inertia ixx="1e-6" iyy="2e-6" izz="2e-6" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><origin xyz="0.01 0 0"/><geometry><box size="0.02 0.01 0.01"/></geometry></collision></link>
  <joint name="a_pad_joint" type="fixed"><origin xyz="0.03 0 0"/><parent link="a2"/><child link="a_pad"/></joint>
  <link name="a_pad"><inertial><mass value="0.01"/><inertia ixx="1e-7" iyy="1e-7" izz="1e-7" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><geometry><sphere radius="0.008"/></geometry></collision></link>
  <joint name="b_root" type="revolute"><origin xyz="0.03 -0.02 0"/><parent link="palm"/><child link="b1"/><axis xyz="0 1 0"/>
    <limit lower="0" upper="1.5" effort="0.4" velocity="3"/></joint>
  <link name="b1"><collision><origin xyz="0.015 0 0"/><geometry><box size="0.03 0.01 0.01"/></geometry></collision></link>
  <joint name="b_tip" type="revolute"><origin xyz="0.03 0 0"/><parent link="b1"/><child link="b2"/><axis xyz="0 1 0"/>
    <limit lower="0" upper="1.5" effort="0.4" velocity="3"/><mimic joint="b_root" multiplier="0.5" offset="0.2"/></joint>
  <link name="b2"><collision><origin xyz="0.01 0 0"/><geometry><box size="0.02 0.01 0.01"/></geometry></collision></link>
</robot>"#;

/// A block of 2 x 1.6 x 1.
pub const BLOCK: &str = "v -1 -.8 -.5\nv 1 -.8 -.5\nv 1 .8 -.5\nv -1 .8 -.5\nv -1 -.8 .5\nv 1 -.8 .5\nv 1 .8 .5\nv -1 .8 .5\n\
    f 4 3 2 1\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8\n";
