//! Photographs of Labeled Faces in the Wild whose labels are wrong. The data set keeps them, so that published figures stay
//! comparable; every one is a false positive, or a miss, of a system that recognises faces.
//!
//! From what the data set's home page lists under "Errata" and what users of it have reported, as far as we know it; the list is
//! not complete. Each of them was looked for in the angles of a MobileFaceNet too, and is among the nearest of all pairs of different
//! names (10 to 44 degrees, where most lie near 90).

/// Files, and what is wrong with them, by name. Leaving these out leaves each person one name.
pub const LFW: [(&str, &str); 15] = [
    ("Andrew_Caldecott_0001.jpg", "the photograph of Andrew_Gilligan_0001"),
    ("Bart_Hendricks_0001.jpg", "the photograph of Ricky_Ray_0001"),
    ("Carlos_Beltran_0001.jpg", "the photograph of Raul_Ibanez_0001"),
    ("Carlos_Ruckauf_0001.jpg", "Eduardo Duhalde"),
    ("Emmy_Rossum_0001.jpg", "the photograph of Eva_Amurri_0001"),
    ("Hasan_Wirayuda_0001.jpg", "Hassan Wirajuda, by another spelling"),
    ("John_Burnett_0001.jpg", "John Barnett, by another spelling"),
    ("Joseph_Blatter_0001.jpg", "Sepp Blatter, by his first name"),
    ("Joseph_Blatter_0002.jpg", "Sepp Blatter, by his first name"),
    ("Martha_Bowen_0002.jpg", "the photograph of Gabrielle_Rose_0001"),
    ("Michael_Schumacher_0008.jpg", "Rubens Barrichello"),
    ("Noer_Moeis_0001.jpg", "Noer Muis, by another spelling"),
    ("Recep_Tayyip_Erdogan_0004.jpg", "Abdullah Gul"),
    ("Sung_Hong_Choi_0001.jpg", "Choi Sung-hong, in the other order"),
    ("Takahiro_Mori_0001.jpg", "Shinya Taniguchi"),
];

/// What is wrong with a file of that name, if anything is.
pub fn lfw(file_name: &str) -> Option<&'static str> {
    LFW.binary_search_by_key(&file_name, |(name, _)| name).ok().map(|at| LFW[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        assert!(LFW.is_sorted());
        assert_eq!(lfw("Carlos_Ruckauf_0001.jpg"), Some("Eduardo Duhalde"));
        assert_eq!(lfw("Carlos_Ruckauf_0002.jpg"), None);
    }
}
